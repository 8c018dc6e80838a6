//! `stringify_json`: JSON text of a value.

use ag_pyvalue::{DumpOptions, dumps};

use crate::{jsonish, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "stringify_json",
        title: "Stringify JSON",
        family: "data",
        doc: "JSON text of a value, indented, compact or with Python's spacing.",
        inputs: &[pin("value", "any"), pin("mode", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

/// Widest indentation an author may ask for.
const MAX_INDENT: i64 = 16;

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let parsed = match inputs.get("value") {
        Some(Value::String(text)) => jsonish::structured(text),
        _ => None,
    };
    let value = parsed
        .as_ref()
        .or_else(|| inputs.get("value"))
        .unwrap_or(&Value::Null);
    let mode = text_or_blank(inputs, "mode").trim().to_lowercase();
    let indent = opt_i64(inputs, "indent").filter(|_| mode != "none" && mode != "minified");
    let options = match (mode.as_str(), indent) {
        ("none", _) => DumpOptions::UNICODE,
        ("minified", _) | (_, Some(..=0)) => MINIFIED,
        (_, indent) => DumpOptions::UNICODE.with_indent(indent.unwrap_or(2).min(MAX_INDENT) as usize),
    };
    Ok(result(dumps(
        value,
        options.with_sorted_keys(flag(inputs, "sort_keys", false)),
    )))
}

const MINIFIED: DumpOptions = DumpOptions {
    separators: (",", ":"),
    ..DumpOptions::UNICODE
};
