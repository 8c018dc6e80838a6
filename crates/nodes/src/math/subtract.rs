//! `subtract`: subtracts the second number from the first.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "subtract",
        title: "Subtract",
        family: "math",
        doc: "Subtracts the second number from the first.",
        inputs: &[pin("a", "number"), pin("b", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(number(
        float_or(inputs, "a", 0.0)? - float_or(inputs, "b", 0.0)?,
    )?))
}
