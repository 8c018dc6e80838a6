//! The conversation: recorded messages to request messages, and the last touches before it is sent.

use std::collections::HashSet;

use ag_providers::{ChatMessage, ContentPart, MediaSource, MessageContent, Role, ToolCall};
use ag_types::Object;
use serde_json::{Value, json};

use super::grounding;
use super::input::Input;
use super::media::data_url;

/// The messages of the payload (else of the run's context, where wanted), then the prompt.
pub(super) fn conversation(input: &Input<'_>) -> Vec<ChatMessage> {
    let recorded = if input.messages().is_empty() {
        input.context_messages()
    } else {
        input.messages()
    };
    let mut messages: Vec<ChatMessage> = recorded.iter().filter_map(message).collect();
    messages.extend(input.prompt().map(ChatMessage::user));
    messages
}

fn message(value: &Value) -> Option<ChatMessage> {
    let map = value.as_object()?;
    let role = map.get("role").and_then(Value::as_str).and_then(Role::parse)?;
    let mut message = ChatMessage::new(role, content(map.get("content")));
    let calls = map.get("tool_calls").and_then(Value::as_array);
    message.tool_calls = calls.into_iter().flatten().filter_map(call).collect();
    let blocks = map.get("thinking_blocks").and_then(Value::as_array);
    message.thinking_blocks = blocks.cloned().unwrap_or_default();
    let metadata_id = || map.get("metadata")?.get("call_id").and_then(ag_pyvalue::opt_str);
    if role == Role::Tool {
        message.tool_call_id = super::text_of(map, "tool_call_id").or_else(metadata_id);
    }
    message.name = super::text_of(map, "name");
    // The client of the reference keeps this summary for itself; it repeats what the conversation holds.
    let repeats = role == Role::System
        && message
            .content
            .text()
            .trim_start()
            .starts_with("Recent tool activity");
    (!repeats).then_some(message)
}

fn content(value: Option<&Value>) -> MessageContent {
    match value {
        None | Some(Value::Null) => MessageContent::Text(String::new()),
        Some(Value::String(text)) => MessageContent::Text(text.clone()),
        Some(Value::Array(parts)) => MessageContent::Parts(parts.iter().map(part).collect()),
        Some(other) => MessageContent::Text(ag_pyvalue::dumps_unicode(other)),
    }
}

/// A part as the OpenAI wire spells it; anything else becomes text.
fn part(value: &Value) -> ContentPart {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let image = || {
        let image = value.get("image_url")?;
        let url = image.as_str().or_else(|| image.get("url")?.as_str())?;
        Some(ContentPart::Image(
            data_url(url).unwrap_or_else(|| MediaSource::Url(url.to_owned())),
        ))
    };
    let known = match text("type") {
        Some("image_url") => image(),
        Some("text") | None => text("text").map(|text| ContentPart::Text(text.to_owned())),
        _ => None,
    };
    known.unwrap_or_else(|| match value {
        Value::String(text) => ContentPart::Text(text.clone()),
        other => ContentPart::Text(ag_pyvalue::dumps_unicode(other)),
    })
}

/// `{id, function: {name, arguments}}` of the wire, or `{call_id, name, arguments}` of our records.
fn call(value: &Value) -> Option<ToolCall> {
    let inner = value.get("function").unwrap_or(value);
    let name = inner.get("name").and_then(ag_pyvalue::opt_str)?;
    let id = ["id", "call_id"]
        .iter()
        .find_map(|key| value.get(*key).and_then(ag_pyvalue::opt_str));
    Some(ToolCall::from_wire(
        id,
        name,
        inner.get("arguments").cloned().unwrap_or_default(),
    ))
}

/// Joins what stands at the front into one system message with the grounding paragraph, and repairs what trimming may
/// have torn: a result whose call is gone is shown as a user's text, because servers refuse it otherwise.
pub(super) fn finish(messages: &mut Vec<ChatMessage>, system_prompt: Option<&str>) {
    let leading = messages
        .iter()
        .take_while(|message| message.role == Role::System)
        .count();
    let texts = messages.drain(..leading).map(|message| message.content.text());
    let mut parts: Vec<String> = system_prompt
        .map(str::to_owned)
        .into_iter()
        .chain(texts)
        .collect();
    parts.retain(|text| !text.trim().is_empty());
    parts.push(grounding::PARAGRAPH.to_owned());
    messages.insert(0, ChatMessage::system(parts.join("\n\n")));

    let mut asked = HashSet::new();
    for message in messages {
        asked.extend(message.tool_calls.iter().filter_map(|call| call.id.clone()));
        let orphan = |id: &Option<String>| id.as_ref().is_none_or(|id| !asked.contains(id));
        if message.role == Role::Tool && orphan(&message.tool_call_id) {
            message.role = Role::User;
            message.tool_call_id = None;
        }
    }
}

/// Messages as records show them: media by type and size only.
pub(super) fn to_values(messages: &[ChatMessage]) -> Vec<Value> {
    messages.iter().map(to_value).collect()
}

fn to_value(message: &ChatMessage) -> Value {
    let content = match &message.content {
        MessageContent::Text(text) => text.as_str().into(),
        MessageContent::Parts(parts) => parts.iter().map(part_value).collect(),
    };
    let mut map = Object::new();
    map.insert("role".into(), message.role.as_str().into());
    map.insert("content".into(), content);
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter();
        let calls: Vec<Value> = calls
            .map(|call| json!({"name": call.name, "arguments": call.arguments, "call_id": call.id}))
            .collect();
        map.insert("tool_calls".into(), calls.into());
    }
    if let Some(id) = &message.tool_call_id {
        map.insert("tool_call_id".into(), id.as_str().into());
    }
    map.into()
}

fn part_value(part: &ContentPart) -> Value {
    let media = |kind: &str, source: &MediaSource| match source {
        MediaSource::Inline { content_type, data } => {
            json!({"type": kind, "content_type": content_type, "size_bytes": data.len()})
        }
        // A presigned URL is a secret.
        MediaSource::Url(_) => json!({"type": kind, "url": "(remote)"}),
    };
    match part {
        ContentPart::Text(text) => json!({"type": "text", "text": text}),
        ContentPart::Image(source) => media("image", source),
        ContentPart::Audio { source, .. } => media("audio", source),
        ContentPart::File { source, .. } => media("file", source),
    }
}
