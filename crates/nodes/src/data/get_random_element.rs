//! `get_random_element`: A random element of a list.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "get_random_element",
        title: "Get Random Element",
        family: "data",
        doc: "A random element of a list.",
        inputs: &[pin("array", "array"), pin("default", "any")],
        outputs: &[pin("result", "any"), pin("found", "boolean")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let items = inputs
        .get("array")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let index = (u128::from(ctx.env.ids.random()) * items.len() as u128) >> 64;
    let found = items.get(index as usize);
    let value = found
        .or_else(|| inputs.get("default"))
        .cloned()
        .unwrap_or_default();
    Ok(json!({"result": value, "found": found.is_some()}))
}
