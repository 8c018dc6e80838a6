//! `agent_trace_report`: what an agent did, as Markdown.

use ag_pyvalue::dumps_pretty;

use crate::{prelude::*, render::shorten};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "agent_trace_report",
        title: "Agent Trace Report",
        family: "data",
        doc: "Markdown report of the steps an agent took.",
        inputs: &[pin("scratchpad", "object")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

/// Steps shown, and code points shown of one payload or result.
const MAX_STEPS: usize = 200;
const MAX_TEXT: usize = 2000;

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    Ok(result(
        match inputs.get("scratchpad").and_then(Value::as_object) {
            None => "# Agent Trace Report\n\n_No scratchpad provided._\n".to_owned(),
            Some(pad) => report(pad),
        },
    ))
}

fn report(pad: &Object) -> String {
    let Some(traces) = pad
        .get("node_traces")
        .and_then(Value::as_object)
        .filter(|traces| !traces.is_empty())
    else {
        return "# Agent Trace Report\n\n_No node_traces found in scratchpad._\n".to_owned();
    };
    let steps = crate::render::steps_by_time(traces);
    let mut out = String::from("# Agent Trace Report\n\n");
    for (label, key) in [
        ("Task", "task"),
        ("Run", "sub_run_id"),
        ("Workflow", "workflow_id"),
    ] {
        if let Some(text) = pad.get(key).and_then(opt_str) {
            out.push_str(&format!("- {label}: {text}\n"));
        }
    }
    out.push_str(&format!("- Steps: {}\n", steps.len()));
    for (at, step) in steps.iter().take(MAX_STEPS).enumerate() {
        section(&mut out, at + 1, step);
    }
    if steps.len() > MAX_STEPS {
        out.push_str(&format!(
            "\n_{} further steps not shown._\n",
            steps.len() - MAX_STEPS
        ));
    }
    out
}

fn section(out: &mut String, number: usize, step: &Value) {
    let text = |key: &str| step.get(key).and_then(opt_str).unwrap_or_default();
    let effect = step.get("effect");
    let kind = effect
        .and_then(|effect| effect.get("type"))
        .and_then(opt_str)
        .unwrap_or_default();
    out.push_str(&format!(
        "\n## {number}. {} ({kind}): {}\n\n",
        text("node_id"),
        text("status")
    ));
    if let Some(at) = step.get("ts").and_then(opt_str) {
        out.push_str(&format!("- Time: {at}\n"));
    }
    if let Some(duration) = step.get("duration_ms").and_then(opt_float) {
        out.push_str(&format!("- Duration: {duration:.0} ms\n"));
    }
    if let Some(error) = step.get("error").and_then(opt_str) {
        out.push_str(&format!("- Error: {}\n", shorten(&error, MAX_TEXT)));
    }
    for (label, value) in [
        ("Payload", effect.and_then(|e| e.get("payload"))),
        ("Result", step.get("result")),
    ] {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.push_str(&format!(
                "\n{label}:\n\n```json\n{}\n```\n",
                shorten(&dumps_pretty(value), MAX_TEXT)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_in_order_of_time() {
        let Value::Object(pad) = json!({"task": "T", "node_traces": {
            "act": {"steps": [{"ts": "2", "node_id": "act", "status": "completed",
                "effect": {"type": "tool_calls", "payload": {"a": 1}}, "result": {"ok": true}, "duration_ms": 1.6}]},
            "reason": {"steps": [{"ts": "1", "node_id": "reason", "status": "failed", "error": "boom",
                "effect": {"type": "llm_call"}}]},
        }}) else {
            panic!("object")
        };
        let text = report(&pad);
        let (first, second) = (
            text.find("## 1. reason (llm_call): failed"),
            text.find("## 2. act (tool_calls)"),
        );
        assert!(first.is_some() && first < second, "{text}");
        assert!(
            text.contains("- Error: boom")
                && text.contains("- Duration: 2 ms")
                && text.contains("\"ok\": true")
        );
    }
}
