//! The result as the ledger records it, and the turn that goes into the run's context.

use ag_kernel::VarChange;
use ag_providers::ChatReply;
use ag_types::{Object, json::object};
use serde_json::{Value, json};

use super::ask::{Asked, Data};
use super::grounding::{block_of, strip_echo};
use super::input::Input;
use super::media::Item;
use super::messages;
use crate::routes::ResolvedModel;

/// All that a result is made of.
pub(super) struct Made<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) chosen: &'a ResolvedModel,
    pub(super) media: &'a [Item],
    pub(super) asked: &'a Asked,
    pub(super) warnings: &'a [String],
}

/// What went over the wire: large, so it is moved into the result.
pub(super) struct Wire {
    request: Value,
    response: Value,
}

impl Wire {
    /// Takes it out of a reply.
    pub(super) fn take(reply: &mut ChatReply) -> Self {
        Self {
            request: reply.provider_request.take(),
            response: reply.raw_response.take(),
        }
    }
}

/// The result object. `trace_id` makes one where the server gave none.
///
/// An answer that fits a schema is recorded as `data` alone (recorded behaviour); its tokens stand in the metadata.
pub(super) fn value(made: &Made<'_>, wire: Wire, trace_id: impl FnOnce() -> String) -> Value {
    let reply = &made.asked.reply;
    let metadata = Value::Object(metadata(made, wire.request));
    if let Data::Fits(data) = &made.asked.data {
        return object([
            ("content", Value::Null),
            ("data", data.clone()),
            ("raw_response", Value::Null),
            ("tool_calls", Value::Null),
            ("usage", Value::Null),
            ("model", Value::Null),
            ("finish_reason", Value::Null),
            ("metadata", metadata),
            ("trace_id", Value::Null),
            ("gen_time", Value::Null),
        ])
        .into();
    }
    let data = match &made.asked.data {
        Data::Fallback { data, .. } => data.clone(),
        _ => None,
    };
    let mut map = object([
        ("content", content(reply).into()),
        ("reasoning", reply.reasoning.clone().into()),
        ("data", data.unwrap_or_default()),
        ("raw_response", shortened(wire.response)),
        ("tool_calls", tool_calls(reply).into()),
        (
            "usage",
            reply.usage.map(|usage| usage.to_value()).unwrap_or_default(),
        ),
        ("model", reply.model.as_str().into()),
        ("finish_reason", reply.finish_reason.clone().into()),
        ("metadata", metadata),
        ("trace_id", reply.trace_id.clone().unwrap_or_else(trace_id).into()),
        ("gen_time", tenths(reply.gen_time_ms).into()),
    ]);
    // Wanted back with the results of the calls; of no use to anybody else.
    if !reply.tool_calls.is_empty() && !reply.thinking_blocks.is_empty() {
        map.insert("thinking_blocks".into(), reply.thinking_blocks.clone().into());
    }
    if let Some(ttft) = reply.ttft_ms {
        map.insert("ttft_ms".into(), tenths(ttft).into());
    }
    map.into()
}

fn content(reply: &ChatReply) -> Option<String> {
    reply.content.clone().map(strip_echo)
}

fn tool_calls(reply: &ChatReply) -> Option<Vec<Value>> {
    let calls = reply.tool_calls.iter();
    let calls: Vec<Value> = calls
        .map(|call| json!({"name": call.name, "arguments": call.arguments, "call_id": call.id}))
        .collect();
    (!calls.is_empty()).then_some(calls)
}

fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

fn metadata(made: &Made<'_>, request: Value) -> Object {
    let asked = made.asked;
    let mut metadata = Object::new();
    metadata.insert("_provider_request".into(), provider_request(made, request));
    let grounding = asked
        .request
        .messages
        .iter()
        .rev()
        .find_map(|message| block_of(&message.content.text()));
    metadata.extend(grounding.map(|block| ("runtime_grounding".to_owned(), block)));
    let mut observed = object([("llm_generate_kwargs", kwargs(made).into())]);
    if let Data::Fits(_) = &asked.data {
        let usage = asked.reply.usage.map(|usage| usage.to_value());
        observed.insert("usage".into(), usage.unwrap_or_default());
    }
    metadata.insert("_runtime_observability".into(), observed.into());
    if asked.attempts.len() > 1 || asked.cut {
        metadata.insert(
            "_truncation".into(),
            json!({"attempts": asked.attempts, "resolved": !asked.cut}),
        );
    }
    if let Data::Fallback { data, error } = &asked.data {
        metadata.insert(
            "_structured_output_fallback".into(),
            json!({"used": true, "error": error}),
        );
        if data.is_none() {
            metadata.insert(
                "_structured_output_parse_error".into(),
                "the reply is not valid JSON".into(),
            );
        }
    }
    let warnings: Vec<&String> = made.warnings.iter().chain(&asked.reply.warnings).collect();
    if !warnings.is_empty() {
        metadata.insert("warnings".into(), json!(warnings));
    }
    metadata
}

/// What was sent, without pictures. The address of a stored connection is not recorded.
fn provider_request(made: &Made<'_>, request: Value) -> Value {
    let mut request = shortened(request);
    if made.chosen.provider.starts_with("endpoint:")
        && let Some(map) = request.as_object_mut()
    {
        map.insert("url".into(), made.chosen.provider.as_str().into());
    }
    request
}

/// The arguments of the call, as used.
fn kwargs(made: &Made<'_>) -> Object {
    let (input, request) = (made.input, &made.asked.request);
    let mut kwargs = Object::new();
    kwargs.insert("prompt".into(), input.prompt().unwrap_or_default().into());
    kwargs.insert("messages".into(), messages::to_values(&request.messages).into());
    kwargs.insert("system_prompt".into(), input.system_prompt().into());
    let media: Vec<Value> = made.media.iter().map(Item::reference).collect();
    kwargs.insert("media".into(), media.into());
    kwargs.insert("tools".into(), input.tools().into());
    let mut params = input.params().cloned().unwrap_or_default();
    params.retain(|key, _| !is_secret(key));
    if let Some(tokens) = request.params.max_output_tokens {
        params.insert("max_output_tokens".into(), tokens.into());
    }
    kwargs.insert("params".into(), Value::Object(params));
    if let Some(fallback) = input.payload().get("structured_output_fallback") {
        kwargs.insert("structured_output_fallback".into(), fallback.clone());
    }
    if made.asked.attempts.len() > 1 {
        kwargs.insert("truncation_attempts".into(), json!(made.asked.attempts));
    }
    kwargs
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = [
        "api_key",
        "apikey",
        "authorization",
        "secret",
        "password",
        "credential",
        "headers",
        "base_url",
    ];
    words.iter().any(|word| key.contains(word)) || key == "token" || key.ends_with("_token")
}

/// Data URLs are cut: the ledger is no place for pictures.
fn shortened(mut value: Value) -> Value {
    const KEPT: usize = 64;
    const LONG: usize = 512;
    match &mut value {
        Value::String(text) if text.len() > LONG && text.starts_with("data:") => {
            let head: String = text.chars().take(KEPT).collect();
            *text = format!("{head}... ({} characters)", text.len());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = shortened(item.take())),
        Value::Object(map) => {
            if map.get("format").is_some_and(Value::is_string)
                && let Some(Value::String(data)) = map.get_mut("data")
                && data.len() > LONG
            {
                *data = format!("({} characters)", data.len());
            }
            map.values_mut().for_each(|item| *item = shortened(item.take()));
        }
        _ => {}
    }
    value
}

/// The turn for `context.messages`, where the call wants it. The user's words are kept as sent, time block included
/// (recorded behaviour).
pub(super) fn context_turn(made: &Made<'_>, node_id: &str) -> Option<VarChange> {
    if !made.input.includes_context() {
        return None;
    }
    let entry = |role: &str, content: Value| json!({"role": role, "content": content, "metadata": {"kind": "llm_turn", "node_id": node_id}});
    let last_user = || {
        let users = made.input.messages().iter().rev();
        let mut users = users.filter(|message| message.get("role").and_then(Value::as_str) == Some("user"));
        users.next().and_then(|message| message.get("content")).cloned()
    };
    let user = made.input.prompt().map(Value::from).or_else(last_user);
    let data = match &made.asked.data {
        Data::Fits(data) | Data::Fallback { data: Some(data), .. } => Some(ag_pyvalue::dumps_pretty(data)),
        _ => None,
    };
    let answer = content(&made.asked.reply).filter(|text| !text.trim().is_empty());
    let answer = match &made.asked.data {
        Data::Fits(_) => data,
        _ => answer.or(data),
    };
    let user = user
        .filter(ag_pyvalue::truthy)
        .map(|content| entry("user", content));
    let answer = answer.map(|text| entry("assistant", text.into()));
    let turn: Vec<Value> = user.into_iter().chain(answer).collect();
    (!turn.is_empty()).then(|| VarChange::Append("context.messages".to_owned(), turn))
}
