//! `not`: the opposite truth value.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "not",
        title: "NOT",
        family: "control",
        doc: "The opposite truth value.",
        inputs: &[pin("value", "boolean")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(!inputs.get("value").is_some_and(truthy)))
}
