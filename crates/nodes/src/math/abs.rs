//! `abs`: absolute value.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "abs",
        title: "Absolute",
        family: "math",
        doc: "Absolute value.",
        inputs: &[pin("value", "number")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(number(float_or(inputs, "value", 0.0)?.abs())?))
}
