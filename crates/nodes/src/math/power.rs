//! `power`: raises the base to the exponent.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "power",
        title: "Power",
        family: "math",
        doc: "Raises the base to the exponent.",
        inputs: &[pin("base", "number"), pin("exp", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let (base, exponent) = (float_or(inputs, "base", 0.0)?, float_or(inputs, "exp", 1.0)?);
    // A complex result carries the text by which the executor tells it from an ordinary error.
    Ok(result(number(
        ag_pyvalue::py_pow(base, exponent).map_err(raised)?,
    )?))
}
