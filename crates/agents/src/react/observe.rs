//! Nodes `observe` and `handle_user_response`: what came back becomes messages.

use std::borrow::Cow;

use ag_kernel::{StepEnv, StepPlan};
use ag_pyvalue::{dumps_unicode, pystr};
use ag_types::Object;
use serde_json::{Value, json};

use super::{act, nodes, state};

/// What the model reads when a batch came back without a result for one of its calls.
const NO_RESULT: &str = "No result was returned for this call";

/// Takes tool results into the conversation and the current cycle.
pub(super) fn observe(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let mut outcome = state::take_temp(vars, "tool_results");
    let results = match outcome.get_mut("results") {
        Some(Value::Array(results)) => std::mem::take(results),
        _ => Vec::new(),
    };
    let made = state::take_temp(vars, act::CALLS_MADE);
    let open = made.as_array().map_or(&[][..], Vec::as_slice);
    let mut seen: Vec<Value> = results
        .into_iter()
        .filter_map(|result| match result {
            Value::Object(result) => Some(result),
            _ => None,
        })
        .enumerate()
        .map(|(i, result)| observation(result, open.get(i)))
        .collect();
    let missing = open
        .iter()
        .filter(|call| !seen.iter().any(|seen| seen["call_id"] == call["call_id"]));
    let missing: Vec<Value> = missing
        .map(|call| {
            let mut result = Object::new();
            result.insert("error".into(), NO_RESULT.into());
            observation(result, Some(call))
        })
        .collect();
    seen.extend(missing);

    for seen in &seen {
        let content = seen["rendered"].as_str().unwrap_or_default().to_owned();
        let metadata = json!({"name": seen["name"], "call_id": seen["call_id"], "success": seen["success"]});
        state::push_message(vars, env, "tool", content, metadata, None);
    }
    if !seen.is_empty() {
        state::section(vars, "scratchpad").insert("used_tools".into(), true.into());
    }
    if let Some(Value::Object(cycle)) = state::list(vars, "scratchpad", "cycles").last_mut() {
        match cycle.get_mut("observations") {
            Some(Value::Array(list)) => list.extend(seen),
            _ => {
                cycle.insert("observations".into(), seen.into());
            }
        }
    }
    go_on(vars)
}

/// Takes the user's answer into the conversation.
pub(super) fn user_response(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let payload = state::take_temp(vars, "user_response");
    let answer = payload
        .get("response")
        .or_else(|| payload.get("text"))
        .unwrap_or(&payload);
    let answer = match answer {
        Value::Null => Cow::Borrowed(""),
        Value::Object(_) | Value::Array(_) => Cow::Owned(dumps_unicode(answer)),
        scalar => pystr(scalar),
    };
    let content = format!("[User response]: {answer}");
    state::push_message(vars, env, "user", content, json!({}), None);
    go_on(vars)
}

fn go_on(vars: &Object) -> StepPlan {
    let is_pending = !state::items(vars, "_temp", "pending_tool_calls").is_empty();
    StepPlan::goto(if is_pending { nodes::ACT } else { nodes::REASON })
}

/// A result as the scratchpad keeps it; `call` fills in what the result does not say.
fn observation(mut result: Object, call: Option<&Value>) -> Value {
    let mut take = |key: &str| result.shift_remove(key).filter(|value| !value.is_null());
    let of_call = |key: &str| call.and_then(|call| call.get(key)).cloned().unwrap_or_default();
    let call_id = take("call_id").unwrap_or_else(|| of_call("call_id"));
    let name = take("name").unwrap_or_else(|| of_call("name"));
    let (output, error) = (take("output"), take("error"));
    let success = take("success").is_some_and(|success| success == Value::Bool(true));
    let shown = rendered(output.as_ref(), error.as_ref(), success);
    let name_text = name.as_str().unwrap_or("tool");
    let rendered = format!("[{name_text}]: {}{shown}", if success { "" } else { "Error: " });
    json!({
        "call_id": call_id, "name": name, "success": success, "output": output, "error": error, "rendered": rendered,
    })
}

/// What the model reads of a result: the text that a tool made for it, else the error of a failure, else the output.
fn rendered<'v>(output: Option<&'v Value>, error: Option<&'v Value>, success: bool) -> Cow<'v, str> {
    let made = output.and_then(|output| state::text(output, "rendered"));
    if let Some(text) = made {
        return Cow::Borrowed(text);
    }
    let value = if success { output } else { error.or(output) };
    value.map(pystr).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_as_text() {
        for (result, expected) in [
            (json!({"success": true, "output": "plain"}), "[t]: plain"),
            (
                json!({"success": true, "output": {"a": [1, null]}}),
                "[t]: {'a': [1, None]}",
            ),
            (
                json!({"success": true, "output": {"rendered": "r", "b": 1}}),
                "[t]: r",
            ),
            (json!({"success": true}), "[t]: "),
            (
                json!({"success": false, "error": "e", "output": "o"}),
                "[t]: Error: e",
            ),
            (
                json!({"success": false, "error": "e", "output": {"rendered": "r"}}),
                "[t]: Error: r",
            ),
            (json!({"success": false, "output": "o"}), "[t]: Error: o"),
            (json!({"output": "o"}), "[t]: Error: o"),
        ] {
            let object = result.as_object().cloned().unwrap_or_default();
            let seen = observation(object, Some(&json!({"name": "t", "call_id": "c"})));
            assert_eq!(seen["rendered"], expected, "{result}");
            assert_eq!(seen["call_id"], "c");
        }
    }
}
