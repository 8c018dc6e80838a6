//! `memory_note`: a note in memory.

use super::envelope;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_note",
        title: "Memorize",
        family: "memory",
        doc: "Stores a note in memory.",
        inputs: &[
            pin("keep_in_context", "boolean"),
            pin("scope", "string"),
            pin("content", "string"),
            pin("location", "string"),
            pin("tags", "object"),
            pin("sources", "object"),
        ],
        outputs: &[pin("note_id", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let object = |pin| inputs.get(pin).and_then(Value::as_object).cloned();
    let mut payload = payload(EffectKind::MemoryNote);
    payload.insert("note".to_owned(), text_or_blank(inputs, "content").into());
    payload.insert(
        "tags".to_owned(),
        Value::Object(object("tags").unwrap_or_default()),
    );
    payload.extend(
        object("sources")
            .filter(|sources| !sources.is_empty())
            .map(|s| ("sources".to_owned(), s.into())),
    );
    for pin in ["location", "scope"] {
        payload.extend(opt_text(inputs, pin).map(|text| (pin.to_owned(), text.into())));
    }
    let keep = inputs
        .non_null("keep_in_context")
        .or_else(|| inputs.config.effect_config("keep_in_context"));
    payload.extend(keep.map(|keep| {
        (
            "keep_in_context".to_owned(),
            coerce_bool(keep).unwrap_or(false).into(),
        )
    }));
    Ok(effect(EffectKind::MemoryNote, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mut outputs = Object::new();
    outputs.insert("note_id".to_owned(), envelope::meta(raw, "span_id"));
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
