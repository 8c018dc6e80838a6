//! What a tool returned, as a result record.

use serde_json::Value;

use crate::call::{ToolCall, ToolResult};

/// Marks with which tools begin a failure text.
const MARKS: &[&str] = &["Error:", "❌", "🚫", "⏰"];

/// Turns the outcome of a tool into its record.
///
/// A text that begins with `Error:` or one of the failure marks is a failure and loses that beginning; an object with
/// `success:false` or `ok:false` is a failure that keeps its output.
#[must_use]
pub fn result(call: &ToolCall, outcome: Result<Value, String>) -> ToolResult {
    match outcome {
        Err(text) => ToolResult::failure(call, without_mark(&text).unwrap_or(&text)),
        Ok(Value::String(text)) => match without_mark(&text) {
            Some(reason) => ToolResult::failure(call, reason),
            None => ToolResult::success(call, Value::String(text)),
        },
        Ok(Value::Object(output)) if denies(&output) => {
            let error = match output.get("error") {
                Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
                Some(Value::Null) | None => "Tool reported failure".to_owned(),
                Some(other) => other.to_string(),
            };
            ToolResult {
                output: Value::Object(output),
                ..ToolResult::failure(call, error)
            }
        }
        Ok(output) => ToolResult::success(call, output),
    }
}

fn denies(output: &crate::call::Object) -> bool {
    ["success", "ok"]
        .iter()
        .any(|key| output.get(*key) == Some(&Value::Bool(false)))
}

fn without_mark(text: &str) -> Option<&str> {
    let text = text.trim_start();
    MARKS.iter().find_map(|mark| text.strip_prefix(mark)).map(|rest| {
        // `❌ Error: …` carries two marks; an emoji may be followed by a variation selector.
        let rest = rest.trim_start_matches('\u{fe0f}').trim();
        rest.strip_prefix("Error:").map_or(rest, str::trim)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_are_recognised_in_every_form() {
        let call = ToolCall::from_value(&json!({"name": "t", "call_id": "c", "runtime_call_id": "r"}))
            .expect("object");
        let denied = json!({"success": false, "error": "no", "return_code": 3});
        let cases = [
            (Ok(json!("fine")), true, json!("fine"), None),
            (Ok(json!("✅ Successfully")), true, json!("✅ Successfully"), None),
            (Ok(json!("Error: gone")), false, Value::Null, Some("gone")),
            (Ok(json!(" ❌ Error: gone ")), false, Value::Null, Some("gone")),
            (Ok(json!("🚫 no")), false, Value::Null, Some("no")),
            (Ok(json!("⏰ late")), false, Value::Null, Some("late")),
            (Ok(denied.clone()), false, denied, Some("no")),
            (
                Ok(json!({"ok": false})),
                false,
                json!({"ok": false}),
                Some("Tool reported failure"),
            ),
            (Ok(json!({"success": true})), true, json!({"success": true}), None),
            (Err("Error: x".to_owned()), false, Value::Null, Some("x")),
            (Err("plain".to_owned()), false, Value::Null, Some("plain")),
        ];
        for (outcome, success, output, error) in cases {
            let label = format!("{outcome:?}");
            let result = result(&call, outcome);
            assert_eq!(
                (result.success, &result.output, result.error.as_deref()),
                (success, &output, error),
                "{label}"
            );
            assert_eq!(
                (result.call_id.as_str(), result.runtime_call_id.as_deref()),
                ("c", Some("r"))
            );
        }
    }
}
