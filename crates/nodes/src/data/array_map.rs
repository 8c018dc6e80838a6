//! `array_map`: one key of each object of a list.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_map",
        title: "Map Array",
        family: "data",
        doc: "One key of each object of a list.",
        inputs: &[pin("items", "array"), pin("key", "string")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let key = text_or_blank(inputs, "key");
    let pick = |item: &Value| match item {
        Value::Object(object) => object.get(key.as_ref()).cloned().unwrap_or_default(),
        other => other.clone(),
    };
    Ok(result(
        super::items(inputs.get("items"))
            .iter()
            .map(pick)
            .collect::<Vec<_>>(),
    ))
}
