//! `memory_tag`: tags on a span.

use super::{copy, envelope};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_tag",
        title: "Tag memory",
        family: "memory",
        doc: "Tags a span of memory.",
        inputs: &[
            pin("span_id", "string"),
            pin("scope", "string"),
            pin("tags", "object"),
            pin("merge", "boolean"),
        ],
        outputs: &[pin("success", "boolean"), pin("rendered", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut payload = payload(EffectKind::MemoryTag);
    payload.insert(
        "span_id".to_owned(),
        inputs.get("span_id").cloned().unwrap_or_default(),
    );
    payload.insert(
        "tags".to_owned(),
        inputs
            .get("tags")
            .filter(|tags| tags.is_object())
            .cloned()
            .unwrap_or(json!({})),
    );
    copy::flags(inputs, &["merge"], &mut payload);
    copy::texts(inputs, &["scope"], &mut payload);
    Ok(effect(EffectKind::MemoryTag, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mut outputs = Object::new();
    outputs.insert("success".to_owned(), envelope::succeeded(raw).into());
    outputs.insert("rendered".to_owned(), envelope::rendered(raw));
    outputs.insert(
        "results".to_owned(),
        raw.get("results").cloned().unwrap_or(json!([])),
    );
    outputs
}
