//! `and`: true if both inputs are true.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "and",
        title: "AND",
        family: "control",
        doc: "True if both inputs are true.",
        inputs: &[pin("a", "boolean"), pin("b", "boolean")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(
        ["a", "b"].iter().all(|pin| inputs.get(pin).is_some_and(truthy)),
    ))
}
