//! `wait_event`: waits for an answer under a key.

use crate::{effect::asked, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "wait_event",
        title: "Wait Event",
        family: "events",
        doc: "Waits for an event key, optionally with a question for a person.",
        inputs: &[
            pin("event_key", "string"),
            pin("prompt", "string"),
            pin("choices", "array"),
            pin("allow_free_text", "boolean"),
        ],
        outputs: &[pin("event_data", "object")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let key = inputs
        .non_null("event_key")
        .map_or("default".into(), pystr)
        .into_owned();
    let mut payload = payload(EffectKind::WaitEvent);
    payload.insert("wait_key".to_owned(), key.clone().into());
    payload.extend(opt_text(inputs, "prompt").map(|prompt| ("prompt".to_owned(), prompt.into())));
    let choices: Vec<String> = inputs
        .get("choices")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(opt_str)
        .collect();
    if !choices.is_empty() {
        payload.insert("choices".to_owned(), choices.into());
    }
    payload.insert(
        "allow_free_text".to_owned(),
        flag(inputs, "allow_free_text", true).into(),
    );
    asked::remember(ctx, [("event_key", key.into())]);
    Ok(effect(EffectKind::WaitEvent, payload))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let mut outputs = asked::recall(node);
    outputs.insert("event_data".to_owned(), raw.clone());
    outputs
}
