//! `memory_query`: recall from span memory.

use super::{copy, envelope};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_query",
        title: "Recall",
        family: "memory",
        doc: "Searches notes and archived conversations.",
        inputs: &[
            pin("query", "string"),
            pin("recall_level", "string"),
            pin("limit", "number"),
            pin("tags", "object"),
            pin("tags_mode", "string"),
            pin("usernames", "array"),
            pin("locations", "array"),
            pin("since", "string"),
            pin("until", "string"),
            pin("scope", "string"),
        ],
        outputs: &[pin("results", "array"), pin("rendered", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

const DEFAULT_LIMIT: i64 = 10;

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut payload = payload(EffectKind::MemoryQuery);
    payload.insert("query".to_owned(), text_or_blank(inputs, "query").into());
    payload.insert(
        "limit_spans".to_owned(),
        opt_i64(inputs, "limit").unwrap_or(DEFAULT_LIMIT).into(),
    );
    payload.insert("return".to_owned(), "both".into());
    copy::texts(inputs, &["recall_level"], &mut payload);
    let tags = inputs
        .get("tags")
        .and_then(Value::as_object)
        .filter(|tags| !tags.is_empty());
    payload.extend(tags.map(|tags| ("tags".to_owned(), Value::Object(tags.clone()))));
    copy::texts(inputs, &["tags_mode"], &mut payload);
    for pin in ["usernames", "locations"] {
        let names = super::texts(inputs.get(pin));
        if !names.is_empty() {
            payload.insert(pin.to_owned(), names.into());
        }
    }
    copy::texts(inputs, &["since", "until", "scope"], &mut payload);
    Ok(effect(EffectKind::MemoryQuery, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let list = |value: Value| if value.is_array() { value } else { json!([]) };
    let mut outputs = Object::new();
    outputs.insert("results".to_owned(), list(envelope::meta(raw, "matches")));
    outputs.insert("rendered".to_owned(), envelope::rendered(raw));
    outputs.insert("span_ids".to_owned(), list(envelope::meta(raw, "span_ids")));
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
