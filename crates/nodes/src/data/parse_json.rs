//! `parse_json`: a value from text that is JSON or nearly so.

use crate::{jsonish, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "parse_json",
        title: "Parse JSON",
        family: "data",
        doc: "Reads JSON, also fenced, embedded in prose, or written as a Python literal.",
        inputs: &[pin("text", "string")],
        outputs: &[pin("result", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let empty = || Exception::value("parse_json requires a non-empty 'text' input.");
    let value = match inputs.non_null("text") {
        None => return Err(empty().into()),
        Some(Value::String(text)) => {
            let text = strip_py(text);
            if text.is_empty() {
                return Err(empty().into());
            }
            let value =
                jsonish::parse(text).map_err(|error| Exception::value(format!("Invalid JSON: {error}")))?;
            if value.is_null() {
                return Err(Exception::value("Invalid JSON: null").into());
            }
            value
        }
        Some(other) => other.clone(),
    };
    let scalar = !value.is_object() && !value.is_array();
    Ok(result(if scalar && flag(inputs, "wrap_scalar", true) {
        one("value", value)
    } else {
        value
    }))
}
