//! The payload of the loop's model calls.

use std::collections::HashSet;

use ag_pyvalue::{opt_int, opt_str};
use ag_types::Object;
use serde_json::{Value, json};

use super::state;

/// `_runtime.temperature`, else the default of the situation.
pub(super) fn temperature(vars: &Object, default: f64) -> Value {
    state::member(vars, "_runtime", "temperature")
        .filter(|set| set.is_number())
        .cloned()
        .unwrap_or_else(|| json!(default))
}

/// The payload of a call with this system prompt and these tools.
pub(super) fn payload(vars: &Object, system: String, tools: Vec<Value>, temperature: Value) -> Object {
    let messages = conversation(state::items(vars, "context", "messages"));
    let mut payload = Object::new();
    if messages.is_empty() {
        payload.insert("prompt".into(), state::task(vars).into());
    } else {
        payload.insert("prompt".into(), "".into());
        payload.insert("messages".into(), messages.into());
    }
    payload.insert("tools".into(), tools.into());
    payload.insert("system_prompt".into(), system.into());
    for key in ["provider", "model"] {
        if let Some(value) = state::member(vars, "_runtime", key).and_then(opt_str) {
            payload.insert(key.into(), value.into());
        }
    }
    let media = state::items(vars, "context", "attachments");
    if !media.is_empty() {
        payload.insert("media".into(), media.into());
    }
    payload.insert("params".into(), params(vars, temperature).into());
    payload
}

fn params(vars: &Object, temperature: Value) -> Object {
    let runtime = |key| state::member(vars, "_runtime", key);
    let mut params = Object::new();
    params.insert("temperature".into(), temperature);
    if let Some(seed) = runtime("seed").and_then(opt_int).filter(|seed| *seed >= 0) {
        params.insert("seed".into(), seed.into());
    }
    for key in ["audio_policy", "stt_language"] {
        if let Some(value) = runtime(key).and_then(opt_str) {
            params.insert(key.into(), value.into());
        }
    }
    if let Some(binding) = runtime("prompt_cache_binding") {
        params.insert("prompt_cache_binding".into(), binding.clone());
    }
    params
}

/// The conversation as model servers accept it: `role, content, tool_calls, tool_call_id` only (and the reasoning that
/// belongs to calls, where a server wants it back), without empty messages, and with tool results directly behind the turn that asked for them.
///
/// Servers refuse a call without a result and a result without a call. Both occur here: questions to the user are
/// answered by a user message, and compaction may archive a call but keep its result. Such calls are left out, such
/// results become user messages.
fn conversation(messages: &[Value]) -> Vec<Value> {
    let mut out = Vec::with_capacity(messages.len());
    // Each turn with calls owns the messages up to the next one.
    let starts = (0..messages.len()).filter(|i| !calls_of(&messages[*i]).is_empty());
    let mut bounds: Vec<usize> = starts.collect();
    let head = bounds.first().copied().unwrap_or(messages.len());
    out.extend(messages[..head].iter().filter_map(plain));
    bounds.push(messages.len());
    for pair in bounds.windows(2) {
        turn(&messages[pair[0]], &messages[pair[0] + 1..pair[1]], &mut out);
    }
    out
}

fn turn(asking: &Value, rest: &[Value], out: &mut Vec<Value>) {
    let calls = calls_of(asking);
    let asked: HashSet<&str> = calls.iter().filter_map(|call| state::text(call, "id")).collect();
    let (results, others): (Vec<&Value>, Vec<&Value>) = rest
        .iter()
        .partition(|message| result_of(message).is_some_and(|id| asked.contains(id)));
    let answered: HashSet<&str> = results.iter().filter_map(|message| result_of(message)).collect();
    let calls: Vec<Value> = calls
        .iter()
        .filter(|call| state::text(call, "id").is_some_and(|id| answered.contains(id)))
        .cloned()
        .collect();
    if calls.is_empty() {
        out.extend(plain(asking));
    } else {
        let content = asking
            .get("content")
            .filter(|content| !content.is_null())
            .cloned();
        let content = content.unwrap_or_else(|| "".into());
        let mut message = json!({"role": "assistant", "content": content, "tool_calls": calls});
        if let Some(blocks) = asking.get(state::THINKING_BLOCKS) {
            message[state::THINKING_BLOCKS] = blocks.clone();
        }
        out.push(message);
    }
    for result in results {
        let content = result.get("content").cloned().unwrap_or_default();
        out.push(json!({"role": "tool", "content": content, "tool_call_id": result_of(result)}));
    }
    out.extend(others.into_iter().filter_map(plain));
}

fn calls_of(message: &Value) -> &[Value] {
    message
        .get("tool_calls")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The call that a tool message answers.
fn result_of(message: &Value) -> Option<&str> {
    let metadata_id = || {
        message
            .get("metadata")
            .and_then(|metadata| state::text(metadata, "call_id"))
    };
    if state::text(message, "role") != Some("tool") {
        return None;
    }
    state::text(message, "tool_call_id").or_else(metadata_id)
}

/// A message without calls; `None` where nothing is left of it.
fn plain(message: &Value) -> Option<Value> {
    let role = state::text(message, "role")?;
    let role = if role == "tool" { "user" } else { role };
    let content = message.get("content")?;
    let is_empty = match content {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(parts) => parts.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| json!({"role": role, "content": content}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(ids: &[&str]) -> Value {
        let calls: Vec<_> = ids
            .iter()
            .map(|id| json!({"type": "function", "id": id, "function": {}}))
            .collect();
        json!({"role": "assistant", "content": "", "tool_calls": calls, "timestamp": "t"})
    }

    fn result(id: &str) -> Value {
        json!({"role": "tool", "content": format!("[t]: {id}"), "metadata": {"call_id": id}})
    }

    fn shape(messages: &[Value]) -> Vec<String> {
        conversation(messages)
            .iter()
            .map(|message| {
                let ids: Vec<_> = calls_of(message)
                    .iter()
                    .filter_map(|call| state::text(call, "id"))
                    .collect();
                let id = state::text(message, "tool_call_id").unwrap_or_default();
                format!(
                    "{}:{}{}",
                    message["role"].as_str().unwrap_or_default(),
                    ids.join(","),
                    id
                )
            })
            .collect()
    }

    #[test]
    fn results_follow_their_calls() {
        let user = json!({"role": "user", "content": "u", "metadata": {}});
        let empty = json!({"role": "assistant", "content": " "});
        let cases: [(&[Value], &[&str]); 5] = [
            (
                &[user.clone(), empty, asking(&["a"]), result("a")],
                &["user:", "assistant:a", "tool:a"],
            ),
            (
                &[asking(&["a", "b"]), user.clone(), result("b")],
                &["assistant:b", "tool:b", "user:"],
            ),
            (&[asking(&["a"]), user.clone()], &["user:"]),
            (&[result("a"), user.clone()], &["user:", "user:"]),
            (
                &[asking(&["a"]), result("a"), asking(&["a"]), result("a")],
                &["assistant:a", "tool:a", "assistant:a", "tool:a"],
            ),
        ];
        for (messages, expected) in cases {
            assert_eq!(shape(messages), expected);
        }
        assert_eq!(
            conversation(std::slice::from_ref(&user)),
            [json!({"role": "user", "content": "u"})]
        );
    }

    #[test]
    fn reasoning_stays_with_its_calls() {
        let mut thought = asking(&["a"]);
        thought[state::THINKING_BLOCKS] = json!([{"type": "thinking"}]);
        let sent = conversation(&[thought.clone(), result("a")]);
        assert_eq!(sent[0][state::THINKING_BLOCKS], json!([{"type": "thinking"}]));
        // Without its calls it is of no use.
        assert!(conversation(&[thought]).is_empty());
    }
}
