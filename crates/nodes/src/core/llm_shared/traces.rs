//! What the node traces of a child run tell about its tools.

use std::collections::HashSet;

use crate::{prelude::*, render::steps_by_time};

/// Steps, tool calls and tool results of a child run, each in order of time.
#[derive(Debug, Default)]
pub(in crate::core) struct Digest {
    /// All steps of all nodes.
    pub(in crate::core) steps: Vec<Value>,
    /// The tool calls of those steps.
    pub(in crate::core) calls: Vec<Value>,
    /// Their results.
    pub(in crate::core) results: Vec<Value>,
}

/// Reads the traces of a child run; results that a wait kept out of the traces are taken from the observations of
/// the child's own scratchpad.
pub(in crate::core) fn digest(traces: Option<&Value>, output: &Value) -> Digest {
    let mut digest = Digest::default();
    let empty = Object::new();
    let mut seen = HashSet::new();
    for step in steps_by_time(traces.and_then(Value::as_object).unwrap_or(&empty)) {
        digest.steps.push(step.clone());
        let Some(effect) = step
            .get("effect")
            .filter(|effect| effect.get("type") == Some(&json!("tool_calls")))
        else {
            continue;
        };
        let calls = effect
            .get("payload")
            .and_then(|payload| payload.get("tool_calls"))
            .and_then(Value::as_array);
        for call in calls.into_iter().flatten().filter(|call| call.is_object()) {
            // A wait and the completion after it trace the same calls.
            let id = call.get("runtime_call_id").and_then(opt_str);
            if id.is_none_or(|id| seen.insert(id)) {
                digest.calls.push(call.clone());
            }
        }
        let results = step
            .get("result")
            .and_then(|result| result.get("results"))
            .and_then(Value::as_array);
        digest.results.extend(
            results
                .into_iter()
                .flatten()
                .filter(|entry| entry.is_object())
                .cloned(),
        );
    }
    let missing = unanswered(&digest);
    digest
        .results
        .extend(observations(output).filter(|seen| missing.contains(&seen["call_id"])));
    digest
}

/// Ids of calls without result.
fn unanswered(digest: &Digest) -> Vec<Value> {
    let answered = |id: &Value| {
        digest
            .results
            .iter()
            .any(|entry| entry.get("call_id") == Some(id))
    };
    digest
        .calls
        .iter()
        .filter_map(|call| call.get("call_id"))
        .filter(|id| !answered(id))
        .cloned()
        .collect()
}

fn observations(output: &Value) -> impl Iterator<Item = Value> {
    let cycles = output
        .get("scratchpad")
        .and_then(|pad| pad.get("cycles"))
        .and_then(Value::as_array);
    let seen = cycles
        .into_iter()
        .flatten()
        .filter_map(|cycle| cycle.get("observations")?.as_array())
        .flatten();
    seen.map(|entry| {
        let field = |key: &str| entry.get(key).cloned().unwrap_or_default();
        json!({"call_id": field("call_id"), "name": field("name"), "success": field("success"),
               "output": field("output"), "error": field("error")})
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_results_come_from_the_steps() {
        let call = |id: &str| json!({"name": "t", "call_id": id, "runtime_call_id": format!("rt_{id}")});
        let effect = |id: &str| json!({"type": "tool_calls", "payload": {"tool_calls": [call(id)]}});
        let traces = json!({
            "act": {"steps": [
                {"ts": "3", "status": "waiting", "effect": effect("b"), "wait": {}},
                {"ts": "1", "status": "completed", "effect": effect("a"), "result": {"results": [{"call_id": "a"}]}},
                {"ts": "4", "status": "completed", "effect": effect("b"), "result": {"results": []}},
            ]},
            "reason": {"steps": [{"ts": "0", "effect": {"type": "llm_call", "payload": {}}, "result": {}}]},
        });
        let observed = json!({"call_id": "b", "name": "t", "success": true, "output": "o", "error": null, "rendered": "r"});
        let output = json!({"scratchpad": {"cycles": [{"observations": [{"call_id": "a"}, observed]}]}});
        let digest = digest(Some(&traces), &output);
        let times: Vec<_> = digest
            .steps
            .iter()
            .map(|step| step["ts"].as_str().unwrap_or(""))
            .collect();
        assert_eq!(times, ["0", "1", "3", "4"]);
        assert_eq!(digest.calls, [call("a"), call("b")]);
        let answer = json!({"call_id": "b", "name": "t", "success": true, "output": "o", "error": null});
        assert_eq!(digest.results, [json!({"call_id": "a"}), answer]);
    }
}
