//! `lowercase`: lower-case text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "lowercase",
        title: "Lowercase",
        family: "text",
        doc: "Lower-case text.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(text_or(inputs, "text", "").to_lowercase()))
}
