//! `uppercase`: upper-case text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "uppercase",
        title: "Uppercase",
        family: "text",
        doc: "Upper-case text.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(text_or(inputs, "text", "").to_uppercase()))
}
