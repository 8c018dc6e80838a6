//! `replace`: replaces all, the first, or a number of occurrences of a text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "replace",
        title: "Replace",
        family: "text",
        doc: "Replaces all, the first, or a number of occurrences of a text.",
        inputs: &[
            pin("text", "string"),
            pin("pattern", "string"),
            pin("replacement", "string"),
            pin("mode", "string"),
        ],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let (text, pattern) = (text_or_blank(inputs, "text"), text_or_blank(inputs, "pattern"));
    if pattern.is_empty() {
        return Ok(result(text.as_ref()));
    }
    let replacement = text_or_blank(inputs, "replacement");
    let replaced = match count(&text_or_blank(inputs, "mode")) {
        Some(count) => text.replacen(pattern.as_ref(), &replacement, count),
        None => text.replace(pattern.as_ref(), &replacement),
    };
    Ok(result(replaced))
}

/// How many occurrences a mode names; `None` is all.
fn count(mode: &str) -> Option<usize> {
    match mode.trim().to_lowercase().as_str() {
        "first" | "once" => Some(1),
        other => other.parse().ok(),
    }
}
