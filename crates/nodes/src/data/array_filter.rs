//! `array_filter`: the objects of a list whose key has a value, and the other items that equal it.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_filter",
        title: "Filter Array",
        family: "data",
        doc: "The objects of a list whose key has a value, and the other items that equal it.",
        inputs: &[pin("items", "array"), pin("key", "string"), pin("value", "any")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let key = text_or_blank(inputs, "key");
    let wanted = inputs.get("value").unwrap_or(&Value::Null);
    let matches = |item: &&Value| match item {
        Value::Object(object) if !key.is_empty() => {
            py_eq(object.get(key.as_ref()).unwrap_or(&Value::Null), wanted)
        }
        other => py_eq(other, wanted),
    };
    Ok(result(
        super::items(inputs.get("items"))
            .iter()
            .filter(matches)
            .cloned()
            .collect::<Vec<_>>(),
    ))
}
