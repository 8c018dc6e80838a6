//! `ask_user`: a question to a person.

use crate::{effect::asked, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "ask_user",
        title: "Ask User",
        family: "core",
        doc: "Asks a person and waits for the answer.",
        inputs: &[pin("prompt", "string"), pin("choices", "array")],
        outputs: &[pin("response", "string")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let prompt = inputs
        .non_null("prompt")
        .map_or("Please respond:".into(), pystr)
        .into_owned();
    let choices = inputs
        .get("choices")
        .filter(|choices| choices.is_array())
        .cloned()
        .unwrap_or(json!([]));
    let free_text = inputs.config.effect_config("allowFreeText");
    let free_text = free_text.is_none_or(|value| coerce_bool(value).unwrap_or(false));
    // An answer without text reads as a note of what was asked.
    let unanswered = Value::from(format!("[User prompt: {prompt}]"));
    asked::remember(
        ctx,
        [
            ("response", unanswered),
            ("prompt", prompt.clone().into()),
            ("choices", choices.clone()),
        ],
    );
    let mut payload = payload(EffectKind::AskUser);
    payload.insert("prompt".to_owned(), prompt.into());
    payload.insert("choices".to_owned(), choices);
    payload.insert("allow_free_text".to_owned(), free_text.into());
    Ok(effect(EffectKind::AskUser, payload))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let mut outputs = asked::recall(node);
    match raw {
        Value::Object(answer) => {
            outputs.extend(answer.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Value::Null => {}
        scalar => {
            outputs.insert("response".to_owned(), scalar.clone());
        }
    }
    outputs
}
