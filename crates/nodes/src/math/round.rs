//! `round`: rounds half to even on the exact binary value.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "round",
        title: "Round",
        family: "math",
        doc: "Rounds half to even on the exact binary value.",
        inputs: &[pin("value", "number"), pin("decimals", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let value = float_or(inputs, "value", 0.0)?;
    let decimals = inputs
        .get("decimals")
        .map_or(Ok(0), ag_pyvalue::to_int)
        .map_err(raised)?;
    Ok(result(number(
        ag_pyvalue::py_round(value, decimals).map_err(raised)?,
    )?))
}
