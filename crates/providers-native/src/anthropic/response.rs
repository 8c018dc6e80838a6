//! The protocol's answer as our reply.

use ag_providers::{ChatReply, ProviderError, ToolCall, Usage};
use ag_providers_http::errors::Place;
use serde_json::Value;

/// Reads a message. `extract` is the tool whose input is the structured answer.
///
/// # Errors
/// An error object in a success answer, or no message at all.
pub(super) fn reply(
    place: &Place,
    model: &str,
    raw: Value,
    extract: Option<&str>,
    secret: Option<&str>,
) -> Result<ChatReply, ProviderError> {
    if let Some(error) = raw.get("error").filter(|error| error.is_object()) {
        return Err(error_in_answer(place, error, secret));
    }
    let blocks = raw
        .get("content")
        .and_then(Value::as_array)
        .ok_or_else(|| place.unreadable("no content"))?;
    let mut reply = ChatReply::default();
    let (mut text, mut thought) = (String::new(), String::new());
    let mut structured = None;
    for block in blocks {
        let field = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
        match field("type") {
            "text" => text.push_str(field("text")),
            "thinking" => {
                thought.push_str(field("thinking"));
                reply.thinking_blocks.push(block.clone());
            }
            "redacted_thinking" => reply.thinking_blocks.push(block.clone()),
            "tool_use" => {
                let input = block.get("input").cloned().unwrap_or_default();
                if extract == Some(field("name")) {
                    structured = Some(input.to_string());
                    continue;
                }
                let id = Some(field("id").to_owned()).filter(|id| !id.is_empty());
                let call = ToolCall::from_wire(id, field("name").to_owned(), input);
                reply.tool_calls.push(call);
            }
            // Blocks of server-side tools, whatever comes next.
            _ => {}
        }
    }
    reply.content = match (structured, reply.tool_calls.is_empty()) {
        (Some(answer), true) => Some(answer),
        // Only calls: there is no text.
        (_, false) if text.is_empty() => None,
        _ => Some(text),
    };
    reply.reasoning = (!thought.is_empty()).then_some(thought);
    let text = |key: &str| {
        raw.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    reply.finish_reason = text("stop_reason").map(str::to_owned);
    reply.model = text("model").unwrap_or(model).to_owned();
    reply.usage = raw.get("usage").and_then(usage);
    reply.raw_response = raw;
    Ok(reply)
}

/// The kinds of an error object, as the status they would have had.
fn error_in_answer(place: &Place, error: &Value, secret: Option<&str>) -> ProviderError {
    let field = |key: &str| error.get(key).and_then(Value::as_str);
    let status = match field("type").unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    };
    place.failure(status, field("message").unwrap_or("unspecified error"), secret)
}

/// The protocol counts what it read from and wrote to its cache apart from the input; all of it was prompt.
pub(super) fn usage(value: &Value) -> Option<Usage> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let (cached, written) = (
        number("cache_read_input_tokens"),
        number("cache_creation_input_tokens"),
    );
    let input = number("input_tokens");
    let output = number("output_tokens");
    if input.is_none() && output.is_none() {
        return None;
    }
    let input = [input, cached, written]
        .into_iter()
        .flatten()
        .fold(0_u64, u64::saturating_add);
    let output = output.unwrap_or(0);
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: input.saturating_add(output),
        cached_input_tokens: cached,
        cache_write_tokens: written,
        reasoning_tokens: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place() -> Place {
        Place {
            family: "Anthropic".to_owned(),
            url: "http://h/v1/messages".to_owned(),
        }
    }

    fn read(raw: Value, extract: Option<&str>) -> Result<ChatReply, ProviderError> {
        reply(&place(), "m", raw, extract, None)
    }

    #[test]
    fn every_block_finds_its_place() {
        let reply = read(
            json!({"model":"m1","content":[{"type":"thinking","thinking":"hm","signature":"s"},
                {"type":"text","text":"let "},{"type":"text","text":"me"},
                {"type":"tool_use","id":"tu","name":"f","input":{"x":1}},{"type":"redacted_thinking","data":"d"}],
                "stop_reason":"tool_use","usage":{"input_tokens":5,"output_tokens":3,
                "cache_read_input_tokens":7,"cache_creation_input_tokens":2}}),
            None,
        )
        .expect("reply");
        assert_eq!(
            (
                reply.content.as_deref(),
                reply.reasoning.as_deref(),
                reply.finish_reason.as_deref()
            ),
            (Some("let me"), Some("hm"), Some("tool_use"))
        );
        assert_eq!(reply.tool_calls[0].id.as_deref(), Some("tu"));
        assert_eq!(
            reply.thinking_blocks,
            [
                json!({"type":"thinking","thinking":"hm","signature":"s"}),
                json!({"type":"redacted_thinking","data":"d"})
            ]
        );
        // Recorded on the reference.
        assert_eq!(
            reply.usage.expect("usage").to_value(),
            json!({"input_tokens":14,"output_tokens":3,"total_tokens":17,"prompt_tokens":14,"completion_tokens":3,
                "cached_input_tokens":7,"cache_write_tokens":2})
        );
    }

    #[test]
    fn a_structured_answer_is_the_tools_input() {
        let raw = json!({"content":[{"type":"tool_use","id":"t","name":"extract_ans","input":{"a":1}}],"stop_reason":"tool_use"});
        let reply = read(raw.clone(), Some("extract_ans")).expect("reply");
        assert_eq!(
            (reply.content.as_deref(), reply.tool_calls.len()),
            (Some("{\"a\":1}"), 0)
        );
        assert_eq!(read(raw, None).expect("reply").tool_calls.len(), 1);
    }

    #[test]
    fn answers_that_are_none() {
        for raw in [json!({}), json!([]), json!({"content":"x"})] {
            assert!(matches!(read(raw, None), Err(ProviderError::Unreadable { .. })));
        }
        let error = read(
            json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}),
            None,
        )
        .expect_err("error");
        assert_eq!(
            error.to_string(),
            "Anthropic server API error (529): Overloaded [http://h/v1/messages]"
        );
    }
}
