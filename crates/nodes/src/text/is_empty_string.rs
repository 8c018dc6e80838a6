//! `is_empty_string`: true for the empty text and for no text; white space counts as text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "is_empty_string",
        title: "Is Empty",
        family: "text",
        doc: "True for the empty text and for no text; white space counts as text.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(text_or_blank(inputs, "text").is_empty()))
}
