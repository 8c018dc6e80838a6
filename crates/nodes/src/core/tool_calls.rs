//! `tool_calls`: a batch of tools.

use super::calls;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "tool_calls",
        title: "Tool Calls",
        family: "core",
        doc: "Runs a batch of tool calls.",
        inputs: &[pin("tool_calls", "array"), pin("allowed_tools", "array")],
        outputs: &[pin("results", "array"), pin("success", "boolean")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    Ok(calls::planned(calls::list(inputs.get("tool_calls")), inputs))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let results = raw
        .get("results")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let executed = raw.get("mode").and_then(Value::as_str) == Some("executed");
    let succeeded = results
        .iter()
        .all(|entry| entry.get("success") == Some(&Value::Bool(true)));
    let mut outputs = Object::new();
    outputs.insert("results".to_owned(), results.into());
    outputs.insert("success".to_owned(), (executed && succeeded).into());
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
