//! `array_length`: number of items of a list; 0 for anything else.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_length",
        title: "Array Length",
        family: "data",
        doc: "Number of items of a list; 0 for anything else.",
        inputs: &[pin("array", "array")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(
        inputs.get("array").and_then(Value::as_array).map_or(0, Vec::len),
    ))
}
