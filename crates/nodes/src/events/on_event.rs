//! `on_event`: waits for a named event, again and again.

use super::scope;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_event",
        title: "On Event",
        family: "events",
        doc: "Waits for a named event and runs its branch each time one arrives.",
        inputs: &[pin("scope", "string")],
        outputs: &[pin("event", "object"), pin("payload", "any")],
        ..LENIENT_EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let setting = |key| inputs.config.section("eventConfig", key).and_then(opt_str);
    let name = opt_text(inputs, "name")
        .or_else(|| setting("name"))
        .unwrap_or_else(|| "*".to_owned());
    let scope = opt_text(inputs, "scope").or_else(|| setting("scope"));
    let mut payload = Object::new();
    payload.insert("scope".to_owned(), scope::or_session(scope.as_deref()).into());
    payload.insert("name".to_owned(), name.into());
    payload.insert(
        "resume_to_node".to_owned(),
        ctx.next.unwrap_or(ctx.node_id).into(),
    );
    Ok(Planned::Effect {
        kind: EffectKind::WaitEvent,
        payload,
        result_key: None,
        after: After::Successor,
        push_control: true,
    })
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).cloned().unwrap_or_default();
    let mut outputs = Object::new();
    outputs.insert("event".to_owned(), raw.clone());
    for key in ["payload", "event_id", "name"] {
        outputs.insert(key.to_owned(), field(key));
    }
    outputs
}
