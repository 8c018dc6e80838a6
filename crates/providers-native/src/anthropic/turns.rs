//! The conversation as the protocol wants it: user and assistant turns, each tool call answered in the very next one.

use std::collections::{HashSet, VecDeque};

use ag_providers::{ChatMessage, ContentPart, MediaSource, MessageContent, ProviderError, Role, ToolCall};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::thinking::Mode;

/// All system texts, in order.
pub(super) fn system(messages: &[ChatMessage]) -> String {
    let texts = messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.content.text())
        .filter(|text| !text.trim().is_empty());
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The turns. A conversation without a user's turn at its beginning gets one. `mode` says whether the model reasons:
/// then, and only then, the reasoning of earlier turns goes back with their calls.
///
/// # Errors
/// Content that the protocol cannot carry.
pub(super) fn turns(messages: &[ChatMessage], mode: Mode) -> Result<Vec<Value>, ProviderError> {
    let mut turns: Vec<Value> = Vec::with_capacity(messages.len() + 1);
    let mut rest: VecDeque<&ChatMessage> = messages
        .iter()
        .filter(|message| message.role != Role::System)
        .collect();
    while let Some(message) = rest.pop_front() {
        match message.role {
            Role::System => {}
            Role::User => turns.push(json!({ "role": "user", "content": content(&message.content)? })),
            Role::Assistant if message.tool_calls.is_empty() => {
                if !message.content.text().trim().is_empty() {
                    turns.push(json!({ "role": "assistant", "content": content(&message.content)? }));
                }
            }
            Role::Assistant => {
                let mut results = Vec::new();
                while let Some(result) = rest.pop_front_if(|next| next.role == Role::Tool) {
                    results.push(result);
                }
                let (mut asked, answered) = exchange(message, &results)?;
                if mode == Mode::Reasons {
                    asked.splice(0..0, message.thinking_blocks.iter().cloned());
                }
                turns.push(json!({ "role": "assistant", "content": asked }));
                turns.push(json!({ "role": "user", "content": answered }));
            }
            // An answer without its question, after trimming for example.
            Role::Tool => turns.push(json!({ "role": "user", "content": stray(message) })),
        }
    }
    if turns.first().is_none_or(|turn| turn["role"] != "user") {
        turns.insert(0, json!({ "role": "user", "content": "Continue." }));
    }
    Ok(merged(turns))
}

/// An assistant's calls and their answers. A call without an answer is answered so, since the protocol refuses it
/// otherwise; an answer without a call follows as text.
fn exchange(
    message: &ChatMessage,
    results: &[&ChatMessage],
) -> Result<(Vec<Value>, Vec<Value>), ProviderError> {
    let mut asked = Vec::new();
    let text = message.content.text();
    if !text.trim().is_empty() {
        asked.push(json!({ "type": "text", "text": text }));
    }
    let mut answered = Vec::new();
    let mut used = HashSet::new();
    for (index, call) in message.tool_calls.iter().enumerate() {
        let id = call_id(index, call);
        asked.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.arguments }));
        let by_id = results.iter().position(|result| {
            result
                .tool_call_id
                .as_deref()
                .is_some_and(|given| !given.is_empty() && (Some(given) == call.id.as_deref() || given == id))
        });
        // Calls and answers without ids are paired by their order.
        let found = by_id.or_else(|| {
            let nameless = results
                .get(index)?
                .tool_call_id
                .as_deref()
                .is_none_or(str::is_empty);
            nameless.then_some(index)
        });
        answered.push(match found.filter(|at| used.insert(*at)) {
            Some(at) => {
                let content = content(&results[at].content)?;
                json!({ "type": "tool_result", "tool_use_id": id, "content": content })
            }
            None => {
                json!({ "type": "tool_result", "tool_use_id": id, "content": "No result.", "is_error": true })
            }
        });
    }
    for (at, result) in results.iter().enumerate() {
        if !used.contains(&at) {
            answered.push(json!({ "type": "text", "text": stray(result) }));
        }
    }
    Ok((asked, answered))
}

/// Ids hold letters, digits, `_` and `-` only.
fn call_id(index: usize, call: &ToolCall) -> String {
    let id: String = call
        .id
        .as_deref()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if id.is_empty() {
        format!("call_{}", index + 1)
    } else {
        id
    }
}

fn stray(message: &ChatMessage) -> String {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    format!("[TOOL RESULT {id}]: {}", message.content.text())
}

/// Neighbours of one role become one turn where one of them consists of blocks: tool answers and what the user says
/// next belong together.
fn merged(turns: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(turns.len());
    for turn in turns {
        match out.last_mut() {
            Some(last)
                if last["role"] == turn["role"]
                    && (last["content"].is_array() || turn["content"].is_array()) =>
            {
                let mut content = blocks(last["content"].take());
                content.extend(blocks(turn["content"].clone()));
                last["content"] = Value::Array(content);
            }
            _ => out.push(turn),
        }
    }
    out
}

pub(super) fn blocks(content: Value) -> Vec<Value> {
    match content {
        Value::Array(blocks) => blocks,
        Value::String(text) if text.is_empty() => Vec::new(),
        other => vec![json!({ "type": "text", "text": other })],
    }
}

fn content(content: &MessageContent) -> Result<Value, ProviderError> {
    match content {
        MessageContent::Text(text) => Ok(Value::from(text.as_str())),
        MessageContent::Parts(parts) => parts
            .iter()
            .filter(|part| !matches!(part, ContentPart::Text(text) if text.is_empty()))
            .map(part)
            .collect(),
    }
}

fn part(part: &ContentPart) -> Result<Value, ProviderError> {
    match part {
        ContentPart::Text(text) => Ok(json!({ "type": "text", "text": text })),
        ContentPart::Image(image) => Ok(json!({ "type": "image", "source": source(image) })),
        ContentPart::File {
            source: file,
            filename,
        } => document(file, filename),
        ContentPart::Audio { .. } => Err(ProviderError::Unsupported(
            "Anthropic models do not take sound; transcribe it first".to_owned(),
        )),
    }
}

fn document(file: &MediaSource, filename: &str) -> Result<Value, ProviderError> {
    let block = |source: Value| json!({ "type": "document", "source": source, "title": filename });
    match file {
        MediaSource::Url(_) => Ok(block(source(file))),
        MediaSource::Inline { content_type, .. } if content_type == "application/pdf" => {
            Ok(block(source(file)))
        }
        MediaSource::Inline { content_type, data } if content_type.starts_with("text/") => {
            let text = String::from_utf8_lossy(data);
            Ok(block(
                json!({ "type": "text", "media_type": "text/plain", "data": text }),
            ))
        }
        MediaSource::Inline { content_type, .. } => Err(ProviderError::Unsupported(format!(
            "Anthropic models do not take files of type {content_type}"
        ))),
    }
}

fn source(media: &MediaSource) -> Value {
    match media {
        MediaSource::Url(url) => json!({ "type": "url", "url": url }),
        MediaSource::Inline { content_type, data } => {
            json!({ "type": "base64", "media_type": content_type, "data": STANDARD.encode(data) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: Option<&str>, name: &str) -> ToolCall {
        ToolCall::from_wire(id.map(str::to_owned), name.to_owned(), json!({"x": 1}))
    }

    fn asks(calls: Vec<ToolCall>) -> ChatMessage {
        ChatMessage {
            tool_calls: calls,
            ..ChatMessage::assistant("")
        }
    }

    #[test]
    fn calls_are_answered_in_the_next_turn() {
        let messages = [
            ChatMessage::user("q"),
            asks(vec![call(Some("a.1"), "f"), call(Some("b"), "g")]),
            ChatMessage::tool("b", "two"),
            ChatMessage::tool("a.1", "one"),
            ChatMessage::user("and?"),
        ];
        assert_eq!(
            turns(&messages, Mode::Quiet).expect("turns"),
            [
                json!({"role": "user", "content": "q"}),
                json!({"role": "assistant", "content": [
                    {"type": "tool_use", "id": "a_1", "name": "f", "input": {"x": 1}},
                    {"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}}]}),
                json!({"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "two"},
                    {"type": "text", "text": "and?"}]}),
            ]
        );
    }

    #[test]
    fn what_is_missing_is_made_up_for() {
        let messages = [
            ChatMessage::tool("gone", "late"),
            asks(vec![call(None, "f"), call(None, "g")]),
            ChatMessage::new(Role::Tool, "one"),
        ];
        assert_eq!(
            turns(&messages, Mode::Quiet).expect("turns"),
            [
                json!({"role": "user", "content": "[TOOL RESULT gone]: late"}),
                json!({"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "g", "input": {"x": 1}}]}),
                json!({"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "No result.", "is_error": true}]}),
            ]
        );
        assert_eq!(
            turns(
                &[ChatMessage::assistant("a"), ChatMessage::assistant(" ")],
                Mode::Quiet
            )
            .expect("turns"),
            [
                json!({"role": "user", "content": "Continue."}),
                json!({"role": "assistant", "content": "a"})
            ]
        );
    }

    /// The protocol refuses a turn with calls whose reasoning is gone or changed, as long as the model reasons.
    #[test]
    fn reasoning_goes_back_before_its_calls() {
        let blocks = vec![
            json!({"type": "thinking", "thinking": "hm", "signature": "s"}),
            json!({"type": "redacted_thinking", "data": "d"}),
        ];
        let messages = [
            ChatMessage::user("q"),
            ChatMessage {
                thinking_blocks: blocks.clone(),
                ..asks(vec![call(Some("a"), "f")])
            },
            ChatMessage::tool("a", "one"),
        ];
        let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}});
        let asked = |mode| turns(&messages, mode).expect("turns")[1]["content"].clone();
        assert_eq!(asked(Mode::Reasons), json!([blocks[0], blocks[1], call]));
        assert_eq!(asked(Mode::Quiet), json!([call]));
    }
}
