//! `has_tools`: true for a list with at least one item.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "has_tools",
        title: "Has Tools",
        family: "data",
        doc: "True for a list with at least one item.",
        inputs: &[pin("array", "array")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(
        inputs
            .get("array")
            .and_then(Value::as_array)
            .is_some_and(|tools| !tools.is_empty()),
    ))
}
