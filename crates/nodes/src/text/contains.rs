//! `contains`: true if the text contains the pattern; an empty pattern is contained nowhere.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "contains",
        title: "Contains",
        family: "text",
        doc: "True if the text contains the pattern; an empty pattern is contained nowhere.",
        inputs: &[pin("text", "string"), pin("pattern", "string")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let pattern = text_or_blank(inputs, "pattern");
    Ok(result(
        !pattern.is_empty() && text_or_blank(inputs, "text").contains(pattern.as_ref()),
    ))
}
