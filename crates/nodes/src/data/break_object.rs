//! `break_object`: chosen paths of an object as pins.

use std::borrow::Cow;

use crate::{jsonish, paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "break_object",
        title: "Break Object",
        family: "data",
        doc: "Chosen paths of an object, one output each.",
        inputs: &[pin("object", "object")],
        outputs: &[],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let object = match inputs.get("object") {
        Some(Value::String(text)) => Cow::Owned(jsonish::parse(text).unwrap_or_default()),
        Some(value) => Cow::Borrowed(value),
        None => Cow::Owned(Value::Null),
    };
    let selected = inputs
        .config
        .section("breakConfig", "selectedPaths")
        .and_then(Value::as_array);
    let selected = selected.into_iter().flatten().filter_map(Value::as_str);
    let declared = inputs.config.outputs.iter().flatten().map(|pin| pin.id.as_str());
    let outputs = selected.chain(declared).map(|path| {
        let value = paths::read(&object, path).cloned().unwrap_or_default();
        (path.to_owned(), value)
    });
    Ok(Value::Object(outputs.collect()))
}
