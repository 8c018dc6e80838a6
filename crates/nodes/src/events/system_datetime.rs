//! `system_datetime`: local time of the host with its zone and locale.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "system_datetime",
        title: "System Date/Time",
        family: "events",
        doc: "Local time of the host with its zone and locale.",
        inputs: &[],
        outputs: &[
            pin("iso", "string"),
            pin("timezone", "string"),
            pin("utc_offset_minutes", "number"),
            pin("locale", "string"),
        ],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(_inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let now = ctx.env.now.to_jiff().to_zoned(ctx.env.zone.clone());
    let fraction = if ctx.env.now.as_micros().rem_euclid(1_000_000) == 0 {
        ""
    } else {
        "%.6f"
    };
    Ok(json!({
        "iso": now.strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}%:z")).to_string(),
        "timezone": now.strftime("%Z").to_string(),
        "utc_offset_minutes": now.offset().seconds() / 60,
        "locale": ctx.env.locale,
    }))
}
