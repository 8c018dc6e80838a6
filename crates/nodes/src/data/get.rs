//! `get`: one value out of an object or list.

use crate::{paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "get",
        title: "Get Property",
        family: "data",
        doc: "Reads a path of an object or list, with a default.",
        inputs: &[
            pin("object", "object"),
            pin("key", "string"),
            pin("default", "any"),
        ],
        outputs: &[pin("value", "any")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let key = text_or_blank(inputs, "key");
    let found = inputs
        .get("object")
        .and_then(|object| paths::read(object, &key))
        .filter(|value| !value.is_null());
    Ok(one(
        "value",
        found
            .or_else(|| inputs.get("default"))
            .cloned()
            .unwrap_or_default(),
    ))
}
