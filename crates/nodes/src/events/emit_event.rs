//! `emit_event`: sends an event to waiting runs.

use super::scope;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "emit_event",
        title: "Emit Event",
        family: "events",
        doc: "Sends an event to the runs that wait for it and reports who got it.",
        inputs: &[
            pin("name", "string"),
            pin("scope", "string"),
            pin("payload", "any"),
            pin("session_id", "string"),
        ],
        outputs: &[
            pin("delivered", "number"),
            pin("delivered_to", "array"),
            pin("wait_key", "string"),
        ],
        ..LENIENT_EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let config = inputs.config;
    let text =
        |pin: &str, key: &str| opt_text(inputs, pin).or_else(|| config.effect_config(key).and_then(opt_str));
    let Some(name) = text("name", "name") else {
        return Err(Exception::value(format!("emit_event node '{}' missing event name", ctx.node_id)).into());
    };
    let body = match inputs
        .non_null("payload")
        .or_else(|| config.effect_config("payload"))
    {
        None => json!({}),
        Some(Value::Object(body)) => Value::Object(body.clone()),
        Some(other) => one("value", other.clone()),
    };
    let mut payload = Object::new();
    payload.insert(
        "scope".to_owned(),
        scope::or_session(text("scope", "scope").as_deref()).into(),
    );
    payload.insert("name".to_owned(), name.into());
    payload.insert("payload".to_owned(), body);
    let seq = next_seq(ctx);
    payload.insert(
        "event_id".to_owned(),
        format!("{}:{}:{seq}", ctx.head.run_id, ctx.node_id).into(),
    );
    payload.insert("max_steps".to_owned(), 0.into());
    payload.extend(text("session_id", "sessionId").map(|session| ("session_id".to_owned(), session.into())));
    Ok(effect(EffectKind::EmitEvent, payload))
}

/// Number of this event among those of the node, so that repeated events have ids of their own.
fn next_seq(ctx: &mut NodeCtx<'_>) -> u64 {
    let counters = vars::object_at(ctx.vars, "_temp.event_seq");
    let seq = counters.get(ctx.node_id).and_then(Value::as_u64).unwrap_or(0) + 1;
    counters.insert(ctx.node_id.to_owned(), seq.into());
    seq
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    passthrough(raw)
}
