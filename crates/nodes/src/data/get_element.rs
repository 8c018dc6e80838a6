//! `get_element`: one element of a list; negative positions count from the end.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "get_element",
        title: "Get Element",
        family: "data",
        doc: "One element of a list; negative positions count from the end.",
        inputs: &[
            pin("array", "array"),
            pin("index", "number"),
            pin("default", "any"),
        ],
        outputs: &[pin("result", "any"), pin("found", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let items = inputs
        .get("array")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let index = opt_i64(inputs, "index").unwrap_or(0);
    let index = if index < 0 {
        index.saturating_add_unsigned(items.len() as u64)
    } else {
        index
    };
    let found = usize::try_from(index).ok().and_then(|index| items.get(index));
    let value = found
        .or_else(|| inputs.get("default"))
        .cloned()
        .unwrap_or_default();
    Ok(json!({"result": value, "found": found.is_some()}))
}
