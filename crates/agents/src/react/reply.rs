//! What a model answered, in the form the loop works with.

use ag_types::Object;
use serde_json::{Value, json};

use super::state;

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    /// Text; the reasoning where there is no other text.
    pub(super) content: String,
    /// Calls as `{name, arguments, call_id}`.
    pub(super) calls: Vec<Value>,
    /// Reasoning that the model's server wants back with the results of the calls.
    pub(super) thinking_blocks: Vec<Value>,
    /// The reply was cut off by its length.
    pub(super) cut_off: bool,
}

impl Reply {
    /// Reads the result of a model call. `cycle` numbers calls that came without an id.
    pub(super) fn read(result: &Value, cycle: i64) -> Self {
        let text = |key| {
            state::text(result, key)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let content = text("content")
            .map(without_speaker)
            .filter(|text| !text.is_empty());
        let content = content
            .or_else(|| text("reasoning"))
            .unwrap_or_default()
            .to_owned();
        let calls = result
            .get("tool_calls")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let calls = calls.iter().filter_map(Value::as_object).enumerate();
        let finish = text("finish_reason").unwrap_or_default();
        Self {
            content,
            calls: calls
                .filter_map(|(i, call)| read_call(call, || format!("call_{cycle}_{}", i + 1)))
                .collect(),
            thinking_blocks: result
                .get("thinking_blocks")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            cut_off: ["length", "max_tokens", "max_output_tokens"]
                .iter()
                .any(|cut| finish.eq_ignore_ascii_case(cut)),
        }
    }
}

/// Some models repeat the speaker's name before their text.
fn without_speaker(text: &str) -> &str {
    const SPEAKER: &str = "assistant:";
    match text.get(..SPEAKER.len()) {
        Some(start) if start.eq_ignore_ascii_case(SPEAKER) => text[SPEAKER.len()..].trim_start(),
        _ => text,
    }
}

/// A call with a name and an object of arguments (no arguments count as an empty object, JSON text is read).
fn read_call(call: &Object, made_up_id: impl FnOnce() -> String) -> Option<Value> {
    let text = |key: &str| {
        call.get(key)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let name = text("name")?;
    let arguments = match call.get("arguments") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(json)) => serde_json::from_str(json).ok()?,
        Some(_) => return None,
    };
    let id = text("call_id")
        .or_else(|| text("id"))
        .map_or_else(made_up_id, str::to_owned);
    Some(json!({"name": name, "arguments": arguments, "call_id": id}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (result, expected) in [
            (json!({"content": " hi "}), "hi"),
            (json!({"content": "Assistant: hi"}), "hi"),
            (json!({"content": "assistant:", "reasoning": "r"}), "r"),
            (json!({"content": null, "reasoning": " r "}), "r"),
            (json!({"content": "ä", "reasoning": "r"}), "ä"),
            (json!({"content": 5}), ""),
            (json!(null), ""),
        ] {
            assert_eq!(Reply::read(&result, 1).content, expected, "{result}");
        }
    }

    #[test]
    fn calls() {
        let result = json!({"tool_calls": [
            {"name": "a", "arguments": {"x": 1}, "call_id": "c"}, {"name": "b", "arguments": "{\"y\": 2}", "id": "d"},
            {"name": "e"}, {"name": "f", "arguments": [1]}, {"name": "g", "arguments": "no"}, {"name": " "}, "junk",
        ], "finish_reason": "LENGTH"});
        let reply = Reply::read(&result, 7);
        assert!(reply.cut_off);
        assert_eq!(
            Value::Array(reply.calls),
            json!([
                {"name": "a", "arguments": {"x": 1}, "call_id": "c"},
                {"name": "b", "arguments": {"y": 2}, "call_id": "d"},
                {"name": "e", "arguments": {}, "call_id": "call_7_3"},
            ])
        );
    }
}
