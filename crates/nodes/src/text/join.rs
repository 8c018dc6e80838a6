//! `join`: joins a list with a delimiter, a comma unless given.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "join",
        title: "Join",
        family: "text",
        doc: "Joins a list with a delimiter, a comma unless given.",
        inputs: &[pin("items", "array"), pin("delimiter", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let delimiter = inputs
        .non_null("delimiter")
        .map_or(",".into(), |value| unescape(&pystr(value)));
    let items = match inputs.non_null("items") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(scalar) => std::slice::from_ref(scalar),
        None => &[],
    };
    let texts: Vec<_> = items
        .iter()
        .map(|item| if item.is_null() { "".into() } else { pystr(item) })
        .collect();
    Ok(result(texts.join(&delimiter)))
}
