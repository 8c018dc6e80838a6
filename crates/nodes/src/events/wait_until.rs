//! `wait_until`: waits for a duration or until a point in time.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "wait_until",
        title: "Delay",
        family: "events",
        doc: "Waits for a duration or until a point in time.",
        inputs: &[pin("duration", "number")],
        outputs: &[],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let kind = inputs
        .config
        .effect_config("durationType")
        .and_then(opt_str)
        .unwrap_or_default();
    let duration = inputs.get("duration");
    let unit = match kind.as_str() {
        "hours" => 3.6e9,
        "minutes" => 6e7,
        _ => 1e6,
    };
    let until = if kind == "timestamp" {
        duration.map(pystr).unwrap_or_default().into_owned()
    } else {
        let count = duration
            .and_then(|value| ag_pyvalue::to_float(value).ok())
            .unwrap_or(0.0);
        // A float cast saturates and turns NaN into zero.
        ctx.env.now.plus_micros((count * unit).round() as i64).to_string()
    };
    let mut payload = payload(EffectKind::WaitUntil);
    payload.insert("until".to_owned(), until.into());
    Ok(effect(EffectKind::WaitUntil, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    passthrough(raw)
}
