//! `memory_compact`: archives the older part of the conversation.

use super::{copy, envelope};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_compact",
        title: "Compact memory",
        family: "memory",
        doc: "Archives older messages of the conversation and leaves a summary.",
        inputs: &[
            pin("preserve_recent", "number"),
            pin("compression_mode", "string"),
            pin("focus", "string"),
        ],
        outputs: &[pin("span_id", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut payload = payload(EffectKind::MemoryCompact);
    copy::integers(inputs, &["preserve_recent"], &mut payload);
    copy::texts(inputs, &["compression_mode", "focus"], &mut payload);
    Ok(effect(EffectKind::MemoryCompact, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mut outputs = Object::new();
    outputs.insert("span_id".to_owned(), envelope::meta(raw, "span_id"));
    outputs
}
