//! `multiply`: multiplies two numbers.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "multiply",
        title: "Multiply",
        family: "math",
        doc: "Multiplies two numbers.",
        inputs: &[pin("a", "number"), pin("b", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(number(
        float_or(inputs, "a", 0.0)? * float_or(inputs, "b", 0.0)?,
    )?))
}
