//! `random_float`: random number, evenly spread between two bounds.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "random_float",
        title: "Random Float",
        family: "math",
        doc: "Random number, evenly spread between two bounds.",
        inputs: &[pin("min", "number"), pin("max", "number")],
        outputs: &[pin("result", "number")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let a = opt_f64(inputs, "min").unwrap_or(0.0);
    let b = opt_f64(inputs, "max").unwrap_or(1.0);
    let (low, high) = (a.min(b), a.max(b));
    // 53 bits: as many as a double holds below one.
    let share = (ctx.env.ids.random() >> 11) as f64 / (1u64 << 53) as f64;
    Ok(result(number((low + (high - low) * share).clamp(low, high))?))
}
