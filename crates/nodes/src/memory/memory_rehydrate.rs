//! `memory_rehydrate`: archived messages back in the conversation.

use super::copy;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_rehydrate",
        title: "Recall into context",
        family: "memory",
        doc: "Puts archived messages back into the conversation.",
        inputs: &[
            pin("span_ids", "array"),
            pin("placement", "string"),
            pin("recall_level", "string"),
            pin("max_messages", "number"),
        ],
        outputs: &[pin("inserted", "number"), pin("skipped", "number")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let spans = match inputs.non_null("span_ids").or_else(|| inputs.non_null("span_id")) {
        None => json!([]),
        Some(Value::Array(spans)) => spans.iter().filter(|span| !span.is_null()).cloned().collect(),
        Some(span) => json!([span]),
    };
    let placement = match opt_text(inputs, "placement").as_deref() {
        Some(placement @ ("after_system" | "end")) => placement.to_owned(),
        _ => "after_summary".to_owned(),
    };
    let mut payload = payload(EffectKind::MemoryRehydrate);
    payload.insert("span_ids".to_owned(), spans);
    payload.insert("placement".to_owned(), placement.into());
    copy::integers(inputs, &["max_messages"], &mut payload);
    copy::texts(inputs, &["recall_level"], &mut payload);
    Ok(effect(EffectKind::MemoryRehydrate, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str, empty: Value| {
        raw.get(key)
            .filter(|value| !value.is_null())
            .cloned()
            .unwrap_or(empty)
    };
    let mut outputs = Object::new();
    outputs.insert("inserted".to_owned(), field("inserted", json!(0)));
    outputs.insert("skipped".to_owned(), field("skipped", json!(0)));
    outputs.insert("artifacts".to_owned(), field("artifacts", json!([])));
    outputs
}
