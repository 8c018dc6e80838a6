//! `length`: number of code points of a text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "length",
        title: "Length",
        family: "text",
        doc: "Number of code points of a text.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "number")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(ag_pyvalue::len_chars(&text_or(inputs, "text", ""))))
}
