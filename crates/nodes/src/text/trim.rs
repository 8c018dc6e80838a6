//! `trim`: text without white space around it.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "trim",
        title: "Trim",
        family: "text",
        doc: "Text without white space around it.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(strip_py(&text_or(inputs, "text", ""))))
}
