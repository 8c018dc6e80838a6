//! The protocol's answer as our reply.

use ag_providers::thinking::split_think;
use ag_providers::{ChatReply, ProviderError, ToolCall, Usage};
use ag_providers_http::errors::Place;
use serde_json::Value;

/// Reads an answer.
///
/// # Errors
/// An error in a success answer, or no message at all.
pub(super) fn reply(
    place: &Place,
    model: &str,
    raw: Value,
    secret: Option<&str>,
) -> Result<ChatReply, ProviderError> {
    if let Some(error) = raw.get("error").and_then(Value::as_str) {
        return Err(place.failure(500, error, secret));
    }
    let message = raw
        .get("message")
        .filter(|message| message.is_object())
        .ok_or_else(|| place.unreadable("no message"))?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (content, tagged) = split_think(text(message, "content"));
    let reasoning = text(message, "thinking")
        .filter(|text| !text.is_empty())
        .or(tagged);
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let tool_calls: Vec<ToolCall> = calls
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, call)| {
            let function = call.get("function")?;
            let name = text(function, "name")?;
            // Older versions give no ids, and answers are found by them.
            let id = text(call, "id").filter(|id| !id.is_empty());
            let id = id.unwrap_or_else(|| format!("call_{}", index + 1));
            let arguments = function.get("arguments").cloned().unwrap_or_default();
            Some(ToolCall::from_wire(Some(id), name, arguments))
        })
        .collect();
    let finish_reason = match text(&raw, "done_reason") {
        Some(reason) if reason == "stop" && !tool_calls.is_empty() => Some("tool_calls".to_owned()),
        other => other,
    };
    Ok(ChatReply {
        content,
        reasoning,
        tool_calls,
        finish_reason,
        usage: usage(&raw),
        model: text(&raw, "model")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| model.to_owned()),
        raw_response: raw,
        ..ChatReply::default()
    })
}

fn usage(raw: &Value) -> Option<Usage> {
    let number = |key: &str| raw.get(key).and_then(Value::as_u64);
    let (input, output) = (number("prompt_eval_count"), number("eval_count"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: input.saturating_add(output),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_and_what_is_none() {
        let place = Place {
            family: "Ollama".to_owned(),
            url: "http://h/api/chat".to_owned(),
        };
        let read = |raw| reply(&place, "m", raw, None);
        let answer = read(json!({"model":"m1","message":{"content":"hi","thinking":"hm","tool_calls":
            [{"function":{"name":"f","arguments":{"x":1}}}]},"done_reason":"stop","prompt_eval_count":5,"eval_count":3}))
        .expect("reply");
        assert_eq!(
            (
                answer.content.as_deref(),
                answer.reasoning.as_deref(),
                answer.finish_reason.as_deref()
            ),
            (Some("hi"), Some("hm"), Some("tool_calls"))
        );
        assert_eq!(answer.tool_calls[0].id.as_deref(), Some("call_1"));
        assert_eq!(answer.usage.expect("usage").total_tokens, 8);
        assert!(
            read(json!({"message":{"content":"x"},"done_reason":"length"}))
                .expect("reply")
                .truncated()
        );
        assert!(matches!(read(json!({})), Err(ProviderError::Unreadable { .. })));
        let error = read(json!({"error":"out of memory"})).expect_err("error");
        assert_eq!(
            error.to_string(),
            "Ollama server API error (500): out of memory [http://h/api/chat]"
        );
    }
}
