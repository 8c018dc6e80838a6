//! `answer_user`: tells a person something without waiting.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "answer_user",
        title: "Answer User",
        family: "core",
        doc: "Tells a person something without waiting.",
        inputs: &[pin("message", "string"), pin("level", "string")],
        outputs: &[pin("message", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let level = match opt_text(inputs, "level")
        .unwrap_or_default()
        .to_lowercase()
        .as_str()
    {
        "warn" | "warning" => "warning",
        "error" => "error",
        _ => "message",
    };
    let mut payload = payload(EffectKind::AnswerUser);
    payload.insert("message".to_owned(), text_or_blank(inputs, "message").into());
    payload.insert("level".to_owned(), level.into());
    Ok(effect(EffectKind::AnswerUser, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    passthrough(raw)
}
