//! `call_tool`: one tool; deprecated in favour of `tool_calls`.

use super::calls;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "call_tool",
        title: "Call Tool",
        family: "core",
        doc: "Runs one tool call (deprecated, use Tool Calls).",
        inputs: &[pin("tool_call", "object"), pin("allowed_tools", "array")],
        outputs: &[pin("result", "any"), pin("success", "boolean")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut call = calls::list(inputs.get("tool_call"));
    call.truncate(1);
    Ok(calls::planned(call, inputs))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mode = raw
        .get("mode")
        .filter(|mode| !mode.is_null())
        .map(pystr)
        .unwrap_or_default();
    let first = raw
        .get("results")
        .and_then(|results| results.get(0))
        .filter(|entry| entry.is_object());
    let (result, success) = match first {
        _ if mode != "executed" => (
            format!("Tool execution not completed (mode={mode})").into(),
            false,
        ),
        None => ("Missing tool result".into(), false),
        Some(entry) if entry.get("success") == Some(&Value::Bool(true)) => {
            (entry.get("output").cloned().unwrap_or_default(), true)
        }
        Some(entry) => {
            let error = entry.get("error").and_then(opt_str);
            (
                error.unwrap_or_else(|| "Tool execution failed".to_owned()).into(),
                false,
            )
        }
    };
    let mut outputs = Object::new();
    outputs.insert("result".to_owned(), result);
    outputs.insert("success".to_owned(), success.into());
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
