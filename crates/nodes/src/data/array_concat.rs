//! `array_concat`: joins lists in pin order; other values are appended, nulls left out.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_concat",
        title: "Array Concat",
        family: "data",
        doc: "Joins lists in pin order; other values are appended, nulls left out.",
        inputs: &[pin("a", "array"), pin("b", "array")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut joined = Vec::new();
    for value in variadic(inputs) {
        match value {
            Value::Null => {}
            Value::Array(items) => joined.extend_from_slice(items),
            scalar => joined.push(scalar.clone()),
        }
    }
    Ok(result(joined))
}
