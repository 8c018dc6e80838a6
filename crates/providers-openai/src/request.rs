//! Our request as the wire's body.

use ag_providers::{
    ChatMessage, ChatRequest, ContentPart, MediaSource, MessageContent, ModelCapabilities, Object,
    ProviderError, ResponseSchema, Role, ToolCall, ToolChoice, ToolSpec,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::thinking;

/// The body and what had to be left out of it.
pub(crate) struct ChatBody {
    pub(crate) body: Object,
    pub(crate) warnings: Vec<String>,
}

/// Members that callers cannot replace through `extra`.
const OWN_MEMBERS: [&str; 3] = ["model", "messages", "stream"];

/// Builds the chat body of a family.
///
/// # Errors
/// Content that the wire cannot carry.
pub(crate) fn chat_body(
    family: &str,
    caps: &ModelCapabilities,
    req: &ChatRequest,
    stream: bool,
) -> Result<ChatBody, ProviderError> {
    let mut body = Object::new();
    let mut warnings = Vec::new();
    body.insert("model".to_owned(), Value::from(req.model.as_str()));
    body.insert("messages".to_owned(), messages(&req.messages)?);
    body.insert("stream".to_owned(), Value::Bool(stream));
    if stream {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    sampling(family, caps, req, &mut body);
    if !req.tools.is_empty() {
        body.insert("tools".to_owned(), req.tools.iter().map(tool).collect());
        body.insert("tool_choice".to_owned(), tool_choice(&req.tool_choice));
    }
    if let Some(schema) = &req.response_schema {
        body.insert("response_format".to_owned(), response_format(family, schema));
    }
    if let Some(key) = req.prompt_cache_key.as_deref().filter(|key| !key.is_empty()) {
        body.insert("prompt_cache_key".to_owned(), Value::from(key));
    }
    if let Some(level) = req.thinking {
        thinking::apply(family, &req.model, caps, level, &mut body, &mut warnings);
    }
    for (key, value) in &req.extra {
        match (key.as_str(), value) {
            // The SDK's idiom for "further members".
            ("extra_body", Value::Object(inner)) => merge(&mut body, inner),
            _ => merge_one(&mut body, key, value),
        }
    }
    Ok(ChatBody { body, warnings })
}

fn merge(body: &mut Object, extra: &Object) {
    for (key, value) in extra {
        merge_one(body, key, value);
    }
}

/// Objects on both sides (`chat_template_kwargs`) are joined.
fn merge_one(body: &mut Object, key: &str, value: &Value) {
    if OWN_MEMBERS.contains(&key) {
        return;
    }
    if let (Some(Value::Object(own)), Value::Object(extra)) = (body.get_mut(key), value) {
        own.extend(extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        return;
    }
    body.insert(key.to_owned(), value.clone());
}

fn sampling(family: &str, caps: &ModelCapabilities, req: &ChatRequest, body: &mut Object) {
    let params = &req.params;
    let openai = family == "openai";
    // A router decides itself what it does not hear.
    let only_asked = family == "portkey";
    let default = |value: f64| (!only_asked).then_some(value);
    let max_tokens = params
        .max_output_tokens
        .filter(|tokens| *tokens > 0)
        .or((!only_asked && caps.max_output_tokens > 0).then_some(caps.max_output_tokens));
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    if openai && caps.no_sampling {
        set("max_completion_tokens", max_tokens.map(Value::from));
    } else {
        let penalty = openai.then_some(0.0);
        set(
            "temperature",
            params.temperature.or(default(0.7)).map(Value::from),
        );
        set("max_tokens", max_tokens.map(Value::from));
        set(
            "top_p",
            params
                .top_p
                .or(default(if openai { 1.0 } else { 0.9 }))
                .map(Value::from),
        );
        set(
            "frequency_penalty",
            params.frequency_penalty.or(penalty).map(Value::from),
        );
        set(
            "presence_penalty",
            params.presence_penalty.or(penalty).map(Value::from),
        );
        if !openai {
            set("top_k", params.top_k.map(Value::from));
            set("repetition_penalty", params.repetition_penalty.map(Value::from));
        }
        set("stop", (!params.stop.is_empty()).then(|| json!(params.stop)));
    }
    set("seed", params.seed.filter(|seed| *seed >= 0).map(Value::from));
}

/// Leading system turns joined into one; a conversation without a user turn gets one, because many chat templates
/// refuse it otherwise.
pub(crate) fn messages(messages: &[ChatMessage]) -> Result<Value, ProviderError> {
    let leading = messages
        .iter()
        .take_while(|message| message.role == Role::System)
        .count();
    let mut wire = Vec::with_capacity(messages.len() + 1);
    if leading > 0 {
        let texts: Vec<String> = messages[..leading]
            .iter()
            .map(|message| message.content.text())
            .filter(|text| !text.trim().is_empty())
            .collect();
        if !texts.is_empty() {
            wire.push(json!({ "role": "system", "content": texts.join("\n\n") }));
        }
    }
    for message in &messages[leading..] {
        wire.push(message_value(message)?);
    }
    if !messages.iter().any(|message| message.role == Role::User) {
        wire.push(json!({ "role": "user", "content": "Continue." }));
    }
    Ok(Value::Array(wire))
}

fn message_value(message: &ChatMessage) -> Result<Value, ProviderError> {
    let mut value = Object::new();
    value.insert("role".to_owned(), Value::from(message.role.as_str()));
    value.insert("content".to_owned(), content(&message.content)?);
    if !message.tool_calls.is_empty() {
        let calls = message
            .tool_calls
            .iter()
            .enumerate()
            .map(|(index, call)| call_value(index, call))
            .collect();
        value.insert("tool_calls".to_owned(), calls);
    }
    if message.role == Role::Tool {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        value.insert("tool_call_id".to_owned(), Value::from(id));
    } else if let Some(name) = &message.name {
        value.insert("name".to_owned(), Value::from(name.as_str()));
    }
    Ok(Value::Object(value))
}

fn call_value(index: usize, call: &ToolCall) -> Value {
    let arguments = call
        .raw_arguments
        .clone()
        .unwrap_or_else(|| Value::Object(call.arguments.clone()).to_string());
    let id = call.id.clone().unwrap_or_else(|| format!("call_{}", index + 1));
    json!({ "type": "function", "id": id, "function": { "name": call.name, "arguments": arguments } })
}

fn content(content: &MessageContent) -> Result<Value, ProviderError> {
    match content {
        MessageContent::Text(text) => Ok(Value::from(text.as_str())),
        MessageContent::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &ContentPart) -> Result<Value, ProviderError> {
    Ok(match part {
        ContentPart::Text(text) => json!({ "type": "text", "text": text }),
        ContentPart::Image(source) => {
            json!({ "type": "image_url", "image_url": { "url": media_url(source) } })
        }
        ContentPart::Audio {
            source: MediaSource::Inline { data, .. },
            format,
        } => {
            json!({ "type": "input_audio", "input_audio": { "data": STANDARD.encode(data), "format": format } })
        }
        ContentPart::Audio {
            source: MediaSource::Url(_),
            ..
        } => {
            return Err(ProviderError::Invalid(
                "audio for a chat model must be sent along, not linked".to_owned(),
            ));
        }
        ContentPart::File { source, filename } => {
            json!({ "type": "file", "file": { "filename": filename, "file_data": media_url(source) } })
        }
    })
}

fn media_url(source: &MediaSource) -> String {
    match source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Inline { content_type, data } => {
            let mut url = format!("data:{content_type};base64,");
            STANDARD.encode_string(data, &mut url);
            url
        }
    }
}

/// Defaults are not sent: models copy them into calls. An argument without one is required.
fn tool(tool: &ToolSpec) -> Value {
    let mut parameters = tool.parameters.clone();
    if let Some(schema) = parameters.as_object_mut() {
        let mut without_default = Vec::new();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties {
                let removed = property
                    .as_object_mut()
                    .and_then(|property| property.remove("default"));
                if removed.is_none() {
                    without_default.push(Value::from(name.as_str()));
                }
            }
        }
        schema.entry("type").or_insert_with(|| Value::from("object"));
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.entry("required").or_insert(Value::Array(without_default));
    }
    json!({
        "type": "function",
        "function": { "name": tool.name, "description": tool.description, "parameters": parameters },
    })
}

pub(crate) fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => Value::from("auto"),
        ToolChoice::None => Value::from("none"),
        ToolChoice::Required => Value::from("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

pub(crate) fn response_format(family: &str, schema: &ResponseSchema) -> Value {
    let mut body = Value::Object(schema.schema.clone());
    if family != "openai" {
        return json!({ "type": "json_schema", "json_schema": { "name": schema.name, "schema": body } });
    }
    let strict = close_objects(&mut body);
    json!({ "type": "json_schema", "json_schema": { "name": schema.name, "strict": strict, "schema": body } })
}

/// Adds `additionalProperties: false` to every object. Returns whether the schema may be called strict: OpenAI then
/// refuses objects with optional or free properties.
fn close_objects(schema: &mut Value) -> bool {
    let mut strict = true;
    match schema {
        Value::Object(map) => {
            if let Some(names) = map.get("properties").and_then(Value::as_object) {
                let required = map.get("required").and_then(Value::as_array);
                let all = names.keys().all(|name| {
                    required.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)))
                });
                let free = map
                    .get("additionalProperties")
                    .is_some_and(|extra| *extra != Value::Bool(false));
                strict = all && !free;
                map.entry("additionalProperties").or_insert(Value::Bool(false));
            } else if map.get("type").and_then(Value::as_str) == Some("object") || map.is_empty() {
                strict = false;
            }
            for (key, value) in map.iter_mut() {
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        for property in properties.values_mut() {
                            strict &= close_objects(property);
                        }
                    }
                    ("items", value) => strict &= close_objects(value),
                    ("anyOf" | "oneOf" | "allOf", Value::Array(options)) => {
                        for option in options {
                            strict &= close_objects(option);
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => strict = false,
    }
    strict
}

#[cfg(test)]
mod tests;
