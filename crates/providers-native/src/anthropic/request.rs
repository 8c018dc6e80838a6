//! Our request as the protocol's body.

use ag_providers::{
    ChatRequest, ModelCapabilities, Object, ProviderError, ResponseSchema, ToolChoice, ToolSpec,
};
use serde_json::{Value, json};

use super::thinking::{allows_sampling, apply, may_force};
use super::turns;

/// For models that the table gives no output budget: the protocol wants one.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Members that callers cannot replace through `extra`.
const OWN_MEMBERS: [&str; 4] = ["model", "messages", "system", "stream"];

/// A body, what had to be left out of it, and the tool through which a structured answer comes.
pub(super) struct Prepared {
    pub(super) body: Object,
    pub(super) warnings: Vec<String>,
    pub(super) extract: Option<String>,
}

/// Builds the body.
///
/// # Errors
/// Content that the protocol cannot carry.
pub(super) fn body(
    caps: &ModelCapabilities,
    req: &ChatRequest,
    stream: bool,
) -> Result<Prepared, ProviderError> {
    let mut body = Object::new();
    let mut warnings = Vec::new();
    let params = &req.params;
    let max_tokens = params
        .max_output_tokens
        .filter(|tokens| *tokens > 0)
        .or((caps.max_output_tokens > 0).then_some(caps.max_output_tokens))
        .unwrap_or(DEFAULT_MAX_TOKENS);
    let mut reasoning = Object::new();
    let mode = apply(caps, req, max_tokens, &mut reasoning, &mut warnings);
    let mut turns = turns::turns(&req.messages, mode)?;
    let extract = req.response_schema.as_ref().map(extract_name);
    if let Some(name) = &extract {
        ask_for(name, &mut turns);
    }
    let cached = req.prompt_cache_key.as_deref().is_some_and(|key| !key.is_empty());
    let system = turns::system(&req.messages);
    if cached {
        mark_last(&mut turns);
    }
    body.insert("model".to_owned(), Value::from(req.model.as_str()));
    body.insert("messages".to_owned(), Value::Array(turns));
    body.insert("max_tokens".to_owned(), Value::from(max_tokens));
    if !system.is_empty() {
        let system = match cached {
            true => json!([{ "type": "text", "text": system, "cache_control": CacheControl::value() }]),
            false => Value::from(system),
        };
        body.insert("system".to_owned(), system);
    }
    body.extend(reasoning);
    if allows_sampling(mode) {
        body.insert(
            "temperature".to_owned(),
            Value::from(params.temperature.unwrap_or(0.7)),
        );
        body.extend(params.top_p.map(|value| ("top_p".to_owned(), Value::from(value))));
        body.extend(params.top_k.map(|value| ("top_k".to_owned(), Value::from(value))));
    }
    if !params.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(params.stop));
    }
    body.insert("stream".to_owned(), Value::Bool(stream));
    tools(req, extract.as_deref(), &mut body);
    if let Some(choice) = body.get("tool_choice")
        && !may_force(mode, choice)
    {
        body.shift_remove("tool_choice");
        warnings.push(format!(
            "a choice of tools cannot be forced while {} reasons",
            req.model
        ));
    }
    for (key, value) in &req.extra {
        if !OWN_MEMBERS.contains(&key.as_str()) {
            body.insert(key.clone(), value.clone());
        }
    }
    Ok(Prepared {
        body,
        warnings,
        extract,
    })
}

/// The one kind of mark the protocol has; the key itself is not sent, the server keys by content.
struct CacheControl;

impl CacheControl {
    fn value() -> Value {
        json!({ "type": "ephemeral" })
    }
}

/// Marks the end of the conversation, so that the next turn finds this one in the cache.
fn mark_last(turns: &mut [Value]) {
    let Some(last) = turns.last_mut() else { return };
    let mut blocks = turns::blocks(last["content"].take());
    if let Some(block) = blocks.last_mut() {
        block["cache_control"] = CacheControl::value();
    }
    last["content"] = Value::Array(blocks);
}

/// `extract_<name>`, in the protocol's letters.
fn extract_name(schema: &ResponseSchema) -> String {
    let name: String = schema
        .name
        .to_ascii_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(56)
        .collect();
    format!("extract_{name}")
}

/// Asks for the answer through the tool, at the end of the last user turn.
fn ask_for(name: &str, turns: &mut Vec<Value>) {
    let text = format!("Give your answer by calling the tool {name}.");
    match turns.iter_mut().rev().find(|turn| turn["role"] == "user") {
        Some(turn) => match &mut turn["content"] {
            Value::String(said) => {
                said.push_str("\n\n");
                said.push_str(&text);
            }
            Value::Array(blocks) => blocks.push(json!({ "type": "text", "text": text })),
            other => *other = Value::from(text),
        },
        None => turns.push(json!({ "role": "user", "content": text })),
    }
}

/// Tools on offer; with a schema also the one that takes the answer. It is forced only where the model has no other
/// tool to use first.
fn tools(req: &ChatRequest, extract: Option<&str>, body: &mut Object) {
    let mut tools: Vec<Value> = req.tools.iter().map(tool).collect();
    let others = !tools.is_empty();
    if let (Some(name), Some(schema)) = (extract, &req.response_schema) {
        tools.push(json!({
            "name": name,
            "description": format!("Takes the final answer in the form {}.", schema.name),
            "input_schema": schema.schema,
        }));
    }
    if tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    let choice = match (&req.tool_choice, extract) {
        (ToolChoice::Auto, Some(name)) if !others => json!({ "type": "tool", "name": name }),
        (ToolChoice::Auto, _) => return,
        (ToolChoice::None, None) => json!({ "type": "none" }),
        (ToolChoice::None, Some(name)) => json!({ "type": "tool", "name": name }),
        (ToolChoice::Required, _) => json!({ "type": "any" }),
        (ToolChoice::Named(name), _) => json!({ "type": "tool", "name": name }),
    };
    body.insert("tool_choice".to_owned(), choice);
}

/// Properties keep their defaults; an argument without one is required.
fn tool(tool: &ToolSpec) -> Value {
    let mut schema = tool.parameters.clone();
    if let Some(map) = schema.as_object_mut() {
        map.entry("type").or_insert_with(|| Value::from("object"));
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        let required: Vec<Value> = properties
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, property)| property.get("default").is_none())
            .map(|(name, _)| Value::from(name.as_str()))
            .collect();
        map.entry("required").or_insert(Value::Array(required));
    }
    json!({ "name": tool.name, "description": tool.description, "input_schema": schema })
}

#[cfg(test)]
mod tests {
    use ag_providers::{CapabilityTable, ChatMessage, Thinking};

    use super::*;

    fn request() -> ChatRequest {
        let mut req = ChatRequest::prompt("claude-sonnet-4-5", "hello");
        req.messages.insert(0, ChatMessage::system("SYS"));
        req.params.max_output_tokens = Some(64);
        req
    }

    fn built(req: &ChatRequest) -> (Value, Vec<String>) {
        let caps = CapabilityTable::built_in().lookup(&req.model);
        let prepared = body(&caps, req, false).expect("body");
        (Value::Object(prepared.body), prepared.warnings)
    }

    /// The recorded request.
    #[test]
    fn plain() {
        let mut req = request();
        req.messages.insert(1, ChatMessage::user("q"));
        req.messages.insert(2, ChatMessage::assistant("a"));
        assert_eq!(
            built(&req).0,
            json!({"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"q"},
                {"role":"assistant","content":"a"},{"role":"user","content":"hello"}],"max_tokens":64,
                "system":"SYS","temperature":0.7,"stream":false})
        );
    }

    #[test]
    fn tools_keep_their_defaults() {
        let mut req = request();
        req.tools = vec![ToolSpec {
            name: "get_w".to_owned(),
            description: "d".to_owned(),
            parameters: json!({"properties":{"city":{"type":"string"},"u":{"type":"string","default":"c"}}}),
        }];
        let (sent, _) = built(&req);
        assert_eq!(
            sent["tools"],
            json!([{"name":"get_w","description":"d","input_schema":{"properties":{"city":{"type":"string"},
                "u":{"type":"string","default":"c"}},"type":"object","required":["city"]}}])
        );
        assert!(sent.get("tool_choice").is_none());
        req.tool_choice = ToolChoice::Required;
        assert_eq!(built(&req).0["tool_choice"], json!({"type":"any"}));
    }

    #[test]
    fn a_schema_is_a_forced_tool_unless_there_are_others() {
        let mut req = request();
        let schema = json!({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]});
        let Value::Object(schema) = schema else {
            unreachable!()
        };
        req.response_schema = Some(ResponseSchema {
            name: "Ans".to_owned(),
            schema: schema.clone(),
        });
        let (sent, _) = built(&req);
        assert_eq!(sent["tool_choice"], json!({"type":"tool","name":"extract_ans"}));
        assert_eq!(sent["tools"][0]["input_schema"], Value::Object(schema));
        assert!(
            sent["messages"][0]["content"]
                .as_str()
                .expect("text")
                .contains("extract_ans")
        );
        req.tools = vec![ToolSpec {
            name: "f".to_owned(),
            description: String::new(),
            parameters: json!({}),
        }];
        let (sent, _) = built(&req);
        assert!(sent.get("tool_choice").is_none());
        assert_eq!(sent["tools"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_cache_key_marks_system_and_last_turn() {
        let mut req = request();
        req.prompt_cache_key = Some("k".to_owned());
        let (sent, _) = built(&req);
        assert_eq!(
            sent["system"],
            json!([{"type":"text","text":"SYS","cache_control":{"type":"ephemeral"}}])
        );
        assert_eq!(
            sent["messages"][0]["content"],
            json!([{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}])
        );
    }

    #[test]
    fn thinking_levels() {
        let cases = [
            (
                "claude-sonnet-4-5",
                Thinking::Off,
                9000,
                json!({"type":"disabled"}),
                true,
                false,
            ),
            (
                "claude-sonnet-4-5",
                Thinking::Low,
                9000,
                json!({"type":"enabled","budget_tokens":1024}),
                false,
                false,
            ),
            (
                "claude-sonnet-4-5",
                Thinking::Auto,
                9000,
                json!({"type":"enabled","budget_tokens":4096}),
                false,
                false,
            ),
            (
                "claude-sonnet-4-5",
                Thinking::High,
                9000,
                json!({"type":"enabled","budget_tokens":8192}),
                false,
                false,
            ),
            (
                "claude-sonnet-4-5",
                Thinking::High,
                2000,
                json!({"type":"enabled","budget_tokens":1999}),
                false,
                false,
            ),
            ("claude-sonnet-4-5", Thinking::High, 64, Value::Null, true, true),
            (
                "claude-opus-4-6",
                Thinking::High,
                9000,
                json!({"type":"adaptive"}),
                false,
                false,
            ),
            ("claude-3-5-haiku", Thinking::High, 9000, Value::Null, true, true),
        ];
        for (model, level, tokens, expected, samples, warned) in cases {
            let mut req = request();
            req.model = model.to_owned();
            req.thinking = Some(level);
            req.params.max_output_tokens = Some(tokens);
            let (sent, warnings) = built(&req);
            assert_eq!(
                sent.get("thinking").cloned().unwrap_or_default(),
                expected,
                "{model} {level:?}"
            );
            assert_eq!(sent.get("temperature").is_some(), samples, "{model} {level:?}");
            assert_eq!(!warnings.is_empty(), warned, "{model} {level:?} {warnings:?}");
            let effort = sent.pointer("/output_config/effort").and_then(Value::as_str);
            assert_eq!(effort, (model == "claude-opus-4-6").then_some("high"), "{model}");
        }
        let mut req = request();
        req.params.max_output_tokens = Some(9000);
        req.thinking = Some(Thinking::High);
        req.tools = vec![ToolSpec {
            name: "f".to_owned(),
            description: String::new(),
            parameters: json!({}),
        }];
        req.tool_choice = ToolChoice::Required;
        let (sent, warnings) = built(&req);
        assert!(
            sent.get("tool_choice").is_none() && warnings.len() == 1,
            "{warnings:?}"
        );
    }

    /// A tool loop goes on reasoning if it began so; one that did not is not interrupted.
    #[test]
    fn reasoning_across_tool_calls() {
        let asks = |blocks: &[Value]| ChatMessage {
            tool_calls: vec![ag_providers::ToolCall::from_wire(
                Some("t".to_owned()),
                "f".to_owned(),
                json!({}),
            )],
            thinking_blocks: blocks.to_vec(),
            ..ChatMessage::assistant("")
        };
        let block = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
        let with = || vec![asks(std::slice::from_ref(&block)), ChatMessage::tool("t", "r")];
        let without = || vec![asks(&[]), ChatMessage::tool("t", "r")];
        let cases = [
            (with(), true),
            (without(), false),
            ([with(), without()].concat(), true),
            ([without(), with()].concat(), false),
            ([without(), vec![ChatMessage::user("and?")]].concat(), true),
            (
                [without(), vec![ChatMessage::user("and?")], with()].concat(),
                true,
            ),
        ];
        for (n, (turns, reasons)) in cases.into_iter().enumerate() {
            let mut req = request();
            req.params.max_output_tokens = Some(9000);
            req.thinking = Some(Thinking::High);
            req.messages.extend(turns);
            let (sent, warnings) = built(&req);
            assert_eq!(sent.get("thinking").is_some(), reasons, "{n} {warnings:?}");
            let kept = sent["messages"].to_string().contains("signature");
            assert!(!kept || reasons, "{n}: {sent}");
        }
    }
}
