//! `or`: true if one of the inputs is true.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "or",
        title: "OR",
        family: "control",
        doc: "True if one of the inputs is true.",
        inputs: &[pin("a", "boolean"), pin("b", "boolean")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(
        ["a", "b"].iter().any(|pin| inputs.get(pin).is_some_and(truthy)),
    ))
}
