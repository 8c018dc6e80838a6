//! `modulo`: remainder with the sign of the divisor; zero is an error.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "modulo",
        title: "Modulo",
        family: "math",
        doc: "Remainder with the sign of the divisor; zero is an error.",
        inputs: &[pin("a", "number"), pin("b", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let (a, b) = (float_or(inputs, "a", 0.0)?, float_or(inputs, "b", 1.0)?);
    if b == 0.0 {
        return Err(Exception::value("Modulo by zero").into());
    }
    Ok(result(number(ag_pyvalue::floor_mod(a, b))?))
}
