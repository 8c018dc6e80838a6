//! The wire's answer as our reply.

use ag_providers::thinking::split_think;
use ag_providers::{ChatReply, ProviderError, ToolCall, Usage};
use serde_json::Value;

use crate::errors::Place;

/// Reads a chat completion. The caller adds times and the request.
///
/// # Errors
/// An error object in a success answer, or no choice at all.
pub(crate) fn chat_reply(
    place: &Place,
    model: &str,
    raw: Value,
    secret: Option<&str>,
) -> Result<ChatReply, ProviderError> {
    if let Some(error) = raw.get("error").filter(|error| !error.is_null()) {
        return Err(error_in_answer(place, error, secret));
    }
    let unreadable = |detail: &str| place.unreadable(detail);
    let choice = raw
        .pointer("/choices/0")
        .ok_or_else(|| unreadable("no choices"))?;
    let message = choice
        .get("message")
        .filter(|message| message.is_object())
        .ok_or_else(|| unreadable("no message"))?;
    let (content, tagged) = split_think(text_of(message.get("content")));
    let reasoning = ["reasoning_content", "reasoning", "thinking"]
        .iter()
        .find_map(|key| text_of(message.get(*key)).filter(|text| !text.is_empty()))
        .or(tagged);
    let tool_calls = tool_calls(message);
    Ok(ChatReply {
        content,
        reasoning,
        tool_calls,
        finish_reason: choice
            .get("finish_reason")
            .and_then(Value::as_str)
            .map(str::to_owned),
        usage: raw.get("usage").and_then(usage),
        model: raw
            .get("model")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .unwrap_or(model)
            .to_owned(),
        raw_response: raw,
        ..ChatReply::default()
    })
}

/// Some routers answer 200 and put the failure inside.
pub(crate) fn error_in_answer(place: &Place, error: &Value, secret: Option<&str>) -> ProviderError {
    let message = error
        .get("message")
        .and_then(Value::as_str)
        .or(error.as_str())
        .unwrap_or("unspecified error");
    let code = error
        .get("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let status = code.filter(|code| (400..600).contains(code)).unwrap_or(502);
    place.failure(status, message, secret)
}

/// A text, or the texts of a list of parts.
fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(
            parts
                .iter()
                .filter_map(|part| part.get("text").and_then(Value::as_str).or(part.as_str()))
                .collect(),
        ),
        _ => None,
    }
}

fn tool_calls(message: &Value) -> Vec<ToolCall> {
    let Some(calls) = message.get("tool_calls").and_then(Value::as_array) else {
        return Vec::new();
    };
    calls
        .iter()
        .filter_map(|call| {
            let function = call.get("function").unwrap_or(call);
            let name = function.get("name").and_then(Value::as_str)?.to_owned();
            let id = call
                .get("id")
                .and_then(Value::as_str)
                .filter(|id| !id.is_empty())
                .map(str::to_owned);
            Some(ToolCall::from_wire(
                id,
                name,
                function.get("arguments").cloned().unwrap_or(Value::Null),
            ))
        })
        .collect()
}

pub(crate) fn usage(value: &Value) -> Option<Usage> {
    let number = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| value.get(*key).and_then(Value::as_u64))
    };
    let input = number(&["prompt_tokens", "input_tokens"]);
    let output = number(&["completion_tokens", "output_tokens"]);
    let total = number(&["total_tokens"]);
    if input.is_none() && output.is_none() && total.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: total.unwrap_or_else(|| input.saturating_add(output)),
        cached_input_tokens: value
            .pointer("/prompt_tokens_details/cached_tokens")
            .and_then(Value::as_u64),
        reasoning_tokens: value
            .pointer("/completion_tokens_details/reasoning_tokens")
            .and_then(Value::as_u64),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place() -> Place {
        Place {
            family: "vLLM".to_owned(),
            url: "http://h/v1".to_owned(),
        }
    }

    fn read(raw: Value) -> Result<ChatReply, ProviderError> {
        chat_reply(&place(), "m", raw, None)
    }

    fn answer(message: &Value) -> Value {
        json!({"model":"m1","choices":[{"message":message,"finish_reason":"stop"}],
               "usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}})
    }

    #[test]
    fn text_reasoning_and_usage() {
        let reply = read(answer(
            &json!({"content":"42","reasoning_content":"let me think"}),
        ))
        .expect("reply");
        assert_eq!(
            (reply.content.as_deref(), reply.reasoning.as_deref()),
            (Some("42"), Some("let me think"))
        );
        assert_eq!(
            reply.usage.expect("usage").to_value(),
            json!({"input_tokens":11,"output_tokens":7,"total_tokens":18,"prompt_tokens":11,"completion_tokens":7})
        );
        assert_eq!(reply.model, "m1");
    }

    #[test]
    fn think_tags() {
        for (content, text, reasoning) in [
            ("<think>a</think>\n\nb", "b", Some("a")),
            ("a</think>b", "b", Some("a")),
            ("<think>a", "", Some("a")),
            ("<think>\n</think>b", "b", None),
            ("plain", "plain", None),
            (
                "use <think> and </think> tags",
                "use <think> and </think> tags",
                None,
            ),
        ] {
            let reply = read(answer(&json!({"content":content}))).expect("reply");
            assert_eq!(
                (reply.content.as_deref(), reply.reasoning.as_deref()),
                (Some(text), reasoning),
                "{content}"
            );
        }
    }

    #[test]
    fn bad_tool_arguments_are_an_empty_object() {
        let reply = read(answer(&json!({"content":"oops","tool_calls":[
            {"id":"call_1_1","function":{"name":"read_file","arguments":"{not json"}},
            {"id":"b","function":{"name":"f","arguments":"{\"x\":1}"}},
            {"function":{"name":"g","arguments":{"y":2}}}]})))
        .expect("reply");
        assert!(reply.tool_calls[0].arguments.is_empty());
        assert_eq!(reply.tool_calls[0].raw_arguments.as_deref(), Some("{not json"));
        assert_eq!(reply.tool_calls[1].arguments["x"], 1);
        assert_eq!(
            (
                reply.tool_calls[2].id.as_deref(),
                &reply.tool_calls[2].arguments["y"]
            ),
            (None, &json!(2))
        );
    }

    #[test]
    fn answers_that_are_none() {
        for raw in [
            json!({}),
            json!([]),
            json!(null),
            json!({"choices":[]}),
            json!({"choices":[{"message":null}]}),
        ] {
            assert!(
                matches!(read(raw.clone()), Err(ProviderError::Unreadable { .. })),
                "{raw}"
            );
        }
        let error = read(json!({"error":{"message":"overloaded","code":503}})).expect_err("error");
        assert_eq!(
            error.to_string(),
            "vLLM server API error (503): overloaded [http://h/v1]"
        );
    }
}
