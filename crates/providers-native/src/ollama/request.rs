//! Our request as the protocol's body.

use ag_providers::{
    ChatMessage, ChatRequest, ContentPart, MediaSource, MessageContent, ModelCapabilities, Object,
    ProviderError, Role, Thinking, ToolCall, ToolChoice, ToolSpec,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Members that callers cannot replace through `extra`.
const OWN_MEMBERS: [&str; 4] = ["model", "messages", "stream", "tools"];

/// Builds the body; also what had to be left out of it.
///
/// # Errors
/// Content that the protocol cannot carry.
pub(super) fn body(
    caps: &ModelCapabilities,
    req: &ChatRequest,
    stream: bool,
) -> Result<(Object, Vec<String>), ProviderError> {
    let mut body = Object::new();
    let mut warnings = Vec::new();
    let (think, least_tokens) = thinking(caps, req, &mut warnings);
    body.insert("model".to_owned(), Value::from(req.model.as_str()));
    body.insert("stream".to_owned(), Value::Bool(stream));
    body.insert("options".to_owned(), options(caps, req, least_tokens));
    body.insert("messages".to_owned(), messages(&req.messages)?);
    if !req.tools.is_empty() && req.tool_choice != ToolChoice::None {
        if req.tool_choice != ToolChoice::Auto {
            warnings.push("Ollama cannot be made to use a tool; the model decides".to_owned());
        }
        body.insert("tools".to_owned(), req.tools.iter().map(tool).collect());
    }
    body.extend(think.map(|think| ("think".to_owned(), think)));
    if let Some(schema) = &req.response_schema {
        body.insert("format".to_owned(), Value::Object(schema.schema.clone()));
    }
    for (key, value) in &req.extra {
        match (key.as_str(), value, body.get_mut("options")) {
            // `num_ctx` and its kind.
            ("options", Value::Object(more), Some(Value::Object(options))) => options.extend(more.clone()),
            (key, ..) if OWN_MEMBERS.contains(&key) => {}
            _ => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
    Ok((body, warnings))
}

fn options(caps: &ModelCapabilities, req: &ChatRequest, least_tokens: u64) -> Value {
    let params = &req.params;
    let max_tokens = params
        .max_output_tokens
        .filter(|tokens| *tokens > 0)
        .or((caps.max_output_tokens > 0).then_some(caps.max_output_tokens))
        .map(|tokens| tokens.max(least_tokens));
    let mut options = Object::new();
    let mut set = |key: &str, value: Option<Value>| {
        options.extend(value.map(|value| (key.to_owned(), value)));
    };
    set("temperature", Some(params.temperature.unwrap_or(0.7).into()));
    set("num_predict", max_tokens.map(Value::from));
    set("top_p", params.top_p.map(Value::from));
    set("top_k", params.top_k.map(Value::from));
    set("seed", params.seed.filter(|seed| *seed >= 0).map(Value::from));
    set("stop", (!params.stop.is_empty()).then(|| json!(params.stop)));
    set("frequency_penalty", params.frequency_penalty.map(Value::from));
    set("presence_penalty", params.presence_penalty.map(Value::from));
    set("repeat_penalty", params.repetition_penalty.map(Value::from));
    Value::Object(options)
}

/// The `think` member, and the tokens that reasoning needs at least: a smaller budget would be used up before the
/// answer begins.
fn thinking(caps: &ModelCapabilities, req: &ChatRequest, warnings: &mut Vec<String>) -> (Option<Value>, u64) {
    let Some(level) = req.thinking else {
        return (None, 0);
    };
    if !caps.thinking {
        warnings.push(format!(
            "thinking is not supported for {} on ollama and was ignored",
            req.model
        ));
        return (None, 0);
    }
    let least = match level {
        Thinking::Off => 0,
        Thinking::Minimal | Thinking::Low => 1024,
        Thinking::Auto | Thinking::Medium => 2048,
        Thinking::High | Thinking::XHigh => 8192,
    };
    // Models with efforts cannot be told not to reason.
    let think = match (caps.thinking_control_mode.as_deref(), level) {
        (Some("effort"), Thinking::Off | Thinking::Minimal | Thinking::Low) => Value::from("low"),
        (Some("effort"), Thinking::Auto | Thinking::Medium) => Value::from("medium"),
        (Some("effort"), Thinking::High | Thinking::XHigh) => Value::from("high"),
        _ => Value::Bool(level != Thinking::Off),
    };
    (Some(think), least)
}

/// Leading system turns joined into one; a conversation without a user turn gets one.
fn messages(messages: &[ChatMessage]) -> Result<Value, ProviderError> {
    let leading = messages
        .iter()
        .take_while(|message| message.role == Role::System)
        .count();
    let mut wire = Vec::with_capacity(messages.len() + 1);
    let texts: Vec<String> = messages[..leading]
        .iter()
        .map(|message| message.content.text())
        .filter(|text| !text.trim().is_empty())
        .collect();
    if !texts.is_empty() {
        wire.push(json!({ "role": "system", "content": texts.join("\n\n") }));
    }
    for (index, message) in messages.iter().enumerate().skip(leading) {
        wire.push(message_value(message, &messages[..index])?);
    }
    if !messages.iter().any(|message| message.role == Role::User) {
        wire.push(json!({ "role": "user", "content": "Continue." }));
    }
    Ok(Value::Array(wire))
}

fn message_value(message: &ChatMessage, before: &[ChatMessage]) -> Result<Value, ProviderError> {
    let (text, images) = content(&message.content)?;
    let mut value = json!({ "role": message.role.as_str(), "content": text });
    if !images.is_empty() {
        value["images"] = Value::Array(images);
    }
    if !message.tool_calls.is_empty() {
        value["tool_calls"] = message.tool_calls.iter().map(call_value).collect();
    }
    if message.role == Role::Tool {
        // The protocol names the tool instead of the call.
        let name = message.name.clone().or_else(|| tool_of(message, before));
        if let Some(name) = name {
            value["tool_name"] = Value::from(name);
        }
    }
    Ok(value)
}

fn tool_of(answer: &ChatMessage, before: &[ChatMessage]) -> Option<String> {
    let id = answer.tool_call_id.as_deref()?;
    let mut calls = before.iter().rev().flat_map(|message| &message.tool_calls);
    calls
        .find(|call| call.id.as_deref() == Some(id))
        .map(|call| call.name.clone())
}

fn call_value(call: &ToolCall) -> Value {
    json!({ "function": { "name": call.name, "arguments": call.arguments } })
}

/// Text and pictures; pictures are sent beside the text.
fn content(content: &MessageContent) -> Result<(String, Vec<Value>), ProviderError> {
    let MessageContent::Parts(parts) = content else {
        return Ok((content.text(), Vec::new()));
    };
    let mut images = Vec::new();
    for part in parts {
        match part {
            ContentPart::Text(_) => {}
            ContentPart::Image(MediaSource::Inline { data, .. }) => {
                images.push(Value::from(STANDARD.encode(data)));
            }
            ContentPart::Image(MediaSource::Url(_)) => {
                return Err(ProviderError::Invalid(
                    "pictures for Ollama must be sent along, not linked".to_owned(),
                ));
            }
            ContentPart::Audio { .. } => {
                return Err(ProviderError::Unsupported(
                    "Ollama does not take sound; transcribe it first".to_owned(),
                ));
            }
            ContentPart::File { filename, .. } => {
                return Err(ProviderError::Unsupported(format!(
                    "Ollama does not take files such as '{filename}'"
                )));
            }
        }
    }
    Ok((content.text(), images))
}

fn tool(tool: &ToolSpec) -> Value {
    let mut parameters = tool.parameters.clone();
    if let Some(schema) = parameters.as_object_mut() {
        let mut required = Vec::new();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties {
                // Models copy defaults into their calls.
                let removed = property.as_object_mut().and_then(|map| map.remove("default"));
                if removed.is_none() {
                    required.push(Value::from(name.as_str()));
                }
            }
        }
        schema.entry("type").or_insert_with(|| Value::from("object"));
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.entry("required").or_insert(Value::Array(required));
    }
    json!({
        "type": "function",
        "function": { "name": tool.name, "description": tool.description, "parameters": parameters },
    })
}

#[cfg(test)]
mod tests {
    use ag_providers::CapabilityTable;

    use super::*;

    fn built(req: &ChatRequest) -> (Value, Vec<String>) {
        let caps = CapabilityTable::built_in().lookup(&req.model);
        let (body, warnings) = body(&caps, req, false).expect("body");
        (Value::Object(body), warnings)
    }

    fn request() -> ChatRequest {
        let mut req = ChatRequest::prompt("qwen3:4b", "hello");
        req.params.max_output_tokens = Some(64);
        req
    }

    /// The recorded request.
    #[test]
    fn plain() {
        let mut req = request();
        req.messages.insert(0, ChatMessage::system("SYS"));
        req.messages.insert(0, ChatMessage::system("A"));
        assert_eq!(
            built(&req).0,
            json!({"model":"qwen3:4b","stream":false,"options":{"temperature":0.7,"num_predict":64},
                "messages":[{"role":"system","content":"A\n\nSYS"},{"role":"user","content":"hello"}]})
        );
    }

    #[test]
    fn tools_calls_and_results() {
        let mut req = request();
        req.tools = vec![ToolSpec {
            name: "f".to_owned(),
            description: "d".to_owned(),
            parameters: json!({"properties":{"x":{"type":"string"},"y":{"type":"string","default":"c"}}}),
        }];
        let call = ToolCall::from_wire(Some("c1".to_owned()), "f".to_owned(), json!({"x":1}));
        req.messages.push(ChatMessage {
            tool_calls: vec![call],
            ..ChatMessage::assistant("")
        });
        req.messages.push(ChatMessage::tool("c1", "done"));
        let (sent, _) = built(&req);
        assert_eq!(
            sent["tools"],
            json!([{"type":"function","function":{"name":"f","description":"d","parameters":{"properties":
                {"x":{"type":"string"},"y":{"type":"string"}},"type":"object","required":["x"]}}}])
        );
        assert_eq!(
            sent["messages"][1],
            json!({"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]})
        );
        assert_eq!(
            sent["messages"][2],
            json!({"role":"tool","content":"done","tool_name":"f"})
        );
    }

    #[test]
    fn thinking_raises_the_budget() {
        let cases = [
            ("qwen3:4b", Thinking::Off, Some(json!(false)), 64, false),
            ("qwen3:4b", Thinking::Low, Some(json!(true)), 1024, false),
            ("qwen3:4b", Thinking::Medium, Some(json!(true)), 2048, false),
            ("qwen3:4b", Thinking::High, Some(json!(true)), 8192, false),
            ("gpt-oss:20b", Thinking::High, Some(json!("high")), 8192, false),
            ("llama3.2", Thinking::High, None, 64, true),
        ];
        for (model, level, think, tokens, warned) in cases {
            let mut req = request();
            req.model = model.to_owned();
            req.thinking = Some(level);
            let (sent, warnings) = built(&req);
            assert_eq!(sent.get("think").cloned(), think, "{model} {level:?}");
            assert_eq!(sent["options"]["num_predict"], tokens, "{model} {level:?}");
            assert_eq!(!warnings.is_empty(), warned, "{model} {level:?}");
        }
    }

    #[test]
    fn pictures_options_and_schema() {
        let mut req = request();
        req.messages[0].content = MessageContent::Parts(vec![
            ContentPart::Text("see".to_owned()),
            ContentPart::Image(MediaSource::Inline {
                content_type: "image/png".to_owned(),
                data: bytes::Bytes::from_static(b"PNG"),
            }),
        ]);
        req.extra = Object::from_iter([
            ("options".to_owned(), json!({"num_ctx": 8192})),
            ("keep_alive".to_owned(), json!("5m")),
            ("model".to_owned(), json!("other")),
        ]);
        req.response_schema = Some(ag_providers::ResponseSchema {
            name: "A".to_owned(),
            schema: Object::from_iter([("type".to_owned(), json!("object"))]),
        });
        let (sent, _) = built(&req);
        assert_eq!(
            sent["messages"][0],
            json!({"role":"user","content":"see","images":["UE5H"]})
        );
        assert_eq!(sent["options"]["num_ctx"], 8192);
        assert_eq!(
            (&sent["keep_alive"], &sent["model"]),
            (&json!("5m"), &json!("qwen3:4b"))
        );
        assert_eq!(sent["format"], json!({"type":"object"}));
        req.messages[0].content =
            MessageContent::Parts(vec![ContentPart::Image(MediaSource::Url("u".to_owned()))]);
        let caps = CapabilityTable::built_in().lookup(&req.model);
        assert!(body(&caps, &req, false).is_err());
    }
}
