//! `format_tool_results`: tool results as a list for a prompt.

use ag_pyvalue::{DumpOptions, dumps};

use crate::{prelude::*, render::shorten};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "format_tool_results",
        title: "Format Tool Results",
        family: "data",
        doc: "One line for each tool result, for prompts and messages.",
        inputs: &[pin("tool_results", "array")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

/// Longest argument and longest text of a line, in code points.
const MAX_ARGUMENT: usize = 160;
const MAX_TEXT: usize = 420;

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let results = ["tool_results", "results"]
        .iter()
        .find_map(|pin| inputs.non_null(pin));
    let results = match results {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single @ Value::Object(_)) => std::slice::from_ref(single),
        _ => &[],
    };
    let lines: Vec<_> = results.iter().filter_map(Value::as_object).map(line).collect();
    Ok(result(lines.join("\n")))
}

fn line(entry: &Object) -> String {
    let name = entry
        .get("name")
        .and_then(opt_str)
        .unwrap_or_else(|| "tool".to_owned());
    let status = match entry.get("success") {
        Some(Value::Bool(true)) => "SUCCESS",
        Some(Value::Bool(false)) => "FAILURE",
        _ => "DONE",
    };
    let argument = shorten(&primary_argument(entry), MAX_ARGUMENT);
    format!(
        "- {name}({argument}) [{status}] : {}",
        shorten(&text(entry), MAX_TEXT)
    )
}

/// The argument that names what the call was about: the first one, or the first field of an object output.
fn primary_argument(entry: &Object) -> String {
    let object = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_object)
            .filter(|object| !object.is_empty())
    };
    let fields = object("arguments").or_else(|| object("output"));
    fields
        .and_then(|fields| fields.values().next())
        .map(one_line)
        .unwrap_or_default()
}

fn text(entry: &Object) -> String {
    let field = |key: &str| entry.get(key).filter(|value| !value.is_null());
    let output = field("output").map(|output| match output.get("rendered").and_then(opt_str) {
        Some(rendered) => rendered,
        None => one_line(output),
    });
    let failed = entry.get("success") == Some(&Value::Bool(false));
    let error = field("error").map(one_line);
    let text = if failed {
        error.or(output)
    } else {
        output.or(error)
    };
    let text = collapse(&text.unwrap_or_default());
    if text.is_empty() {
        "(no output)".to_owned()
    } else {
        text
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => collapse(text),
        Value::Null => String::new(),
        other => dumps(other, SORTED),
    }
}

const SORTED: DumpOptions = DumpOptions {
    separators: (",", ":"),
    ..DumpOptions::UNICODE.with_sorted_keys(true)
};

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
