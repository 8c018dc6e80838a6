//! `array_append`: A list with one more item.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_append",
        title: "Array Append",
        family: "data",
        doc: "A list with one more item.",
        inputs: &[pin("array", "array"), pin("item", "any")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut items = match inputs.non_null("array") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(scalar) => vec![scalar.clone()],
    };
    items.push(inputs.get("item").cloned().unwrap_or_default());
    Ok(result(items))
}
