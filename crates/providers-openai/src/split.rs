//! Split mode: another service (an AbstractCore server) speaks to all families for us. Its wire is OpenAI's with
//! `<family>/<model>` as the model's name and a few members of its own.
//!
//! Pictures, videos, speech and music are in [`media`]. Only what the caller set is sent; defaults, prompted tools and the families' dialects are the server's business.

mod media;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ag_providers::family::Wire;
use ag_providers::media::{EmbedReply, EmbedRequest, ModelInfo};
use ag_providers::ports::DeltaSink;
use ag_providers::{
    ChatModel, ChatReply, ChatRequest, Embedder, ModelCatalogue, Object, ProviderClient, ProviderEndpoint,
    ProviderError, ToolChoice, ToolSpec,
};
use ag_providers_http::events::Framing;
use ag_providers_http::streamed::{StreamRequest, ask};
use ag_providers_http::{Kit, WireAdapter};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::media::SplitMedia;
use crate::embeddings::OpenAiEmbedder;
use crate::models::listed;
use crate::request::{messages, response_format, tool_choice};
use crate::response::chat_reply;
use crate::stream::Assembly;
use crate::transport::{Exchange, Transport, call_headers, clean_value, sent_request, trace_id};

const PATH: &str = "chat/completions";
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// Members that callers cannot replace through `extra`.
const OWN_MEMBERS: [&str; 4] = ["model", "messages", "stream", "base_url"];

/// The wire of split mode.
#[derive(Clone, Copy, Debug, Default)]
pub struct AbstractCoreWire;

impl WireAdapter for AbstractCoreWire {
    fn wire(&self) -> Wire {
        Wire::AbstractCore
    }

    fn ports(&self, endpoint: Arc<ProviderEndpoint>, transport: Transport, kit: &Kit) -> ProviderClient {
        let media = Arc::new(SplitMedia::new(transport.clone(), Arc::clone(&endpoint)));
        let split = Arc::new(Split {
            embedder: OpenAiEmbedder {
                transport: transport.clone(),
                retry: kit.retry,
                pause: Arc::clone(&kit.pause),
            },
            transport,
            behind: Arc::clone(&endpoint),
        });
        ProviderClient {
            embedder: Some(split.clone()),
            images: Some(media.clone()),
            upscaler: Some(media.clone()),
            videos: Some(media.clone()),
            music: Some(media.clone()),
            speech: Some(media.clone()),
            transcriber: Some(media),
            catalogue: Some(split.clone()),
            ..ProviderClient::new(endpoint, split)
        }
    }
}

struct Split {
    /// To the server.
    transport: Transport,
    /// The endpoint that the server is to call.
    behind: Arc<ProviderEndpoint>,
    embedder: OpenAiEmbedder,
}

impl Split {
    fn model(&self, model: &str) -> String {
        format!("{}/{model}", self.behind.family.name)
    }

    /// The address that the server shall use instead of its own for the family.
    fn base_url(&self) -> Option<&str> {
        Some(self.behind.base_url.as_str()).filter(|url| !url.is_empty())
    }

    fn check_allowed(&self, model: &str) -> Result<(), ProviderError> {
        let allowed = &self.behind.allowed_models;
        if allowed.is_empty() || allowed.iter().any(|known| known == model) {
            return Ok(());
        }
        Err(ProviderError::ModelNotFound {
            provider: self.behind.provider.clone(),
            model: model.to_owned(),
            available: allowed.clone(),
        })
    }

    fn body(&self, req: &ChatRequest, timeout: Duration, stream: bool) -> Result<Object, ProviderError> {
        let params = &req.params;
        let mut body = Object::new();
        let mut set = |key: &str, value: Option<Value>| {
            body.extend(value.map(|value| (key.to_owned(), value)));
        };
        set("model", Some(self.model(&req.model).into()));
        set("messages", Some(messages(&req.messages)?));
        set("stream", Some(stream.into()));
        set("stream_options", stream.then(|| json!({ "include_usage": true })));
        set("timeout_s", Some(timeout.as_secs_f64().into()));
        set("temperature", params.temperature.map(Value::from));
        set("top_p", params.top_p.map(Value::from));
        set(
            "max_tokens",
            params.max_output_tokens.filter(|n| *n > 0).map(Value::from),
        );
        set("stop", (!params.stop.is_empty()).then(|| json!(params.stop)));
        set("seed", params.seed.filter(|seed| *seed >= 0).map(Value::from));
        set("frequency_penalty", params.frequency_penalty.map(Value::from));
        set("presence_penalty", params.presence_penalty.map(Value::from));
        set(
            "tools",
            (!req.tools.is_empty()).then(|| req.tools.iter().map(tool).collect()),
        );
        let forced = !req.tools.is_empty() && req.tool_choice != ToolChoice::Auto;
        set("tool_choice", forced.then(|| tool_choice(&req.tool_choice)));
        let schema = req.response_schema.as_ref();
        set(
            "response_format",
            schema.map(|schema| response_format("", schema)),
        );
        set("thinking", req.thinking.map(|level| level.word().into()));
        set(
            "prompt_cache_key",
            req.prompt_cache_key.as_deref().map(Value::from),
        );
        set("base_url", self.base_url().map(Value::from));
        for (key, value) in &req.extra {
            if !OWN_MEMBERS.contains(&key.as_str()) {
                body.insert(key.clone(), value.clone());
            }
        }
        Ok(body)
    }
}

/// The gateway's own form of a description: an argument without default is required. The server writes OpenAI's form
/// itself, and would take every argument of one for required.
fn tool(tool: &ToolSpec) -> Value {
    let required = tool.parameters.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_none_or(|names| names.iter().any(|known| known.as_str() == Some(name)));
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    let parameters: Object = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let mut property = property.as_object().cloned().unwrap_or_default();
            if is_required(name) {
                property.remove("default");
            } else {
                property.entry("default").or_insert(Value::Null);
            }
            (name.clone(), Value::Object(property))
        })
        .collect();
    let mut names: Vec<&str> = parameters
        .keys()
        .map(String::as_str)
        .filter(|name| is_required(name))
        .collect();
    names.sort_unstable();
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": parameters,
        "required_args": names,
    })
}

/// Whose call this is. The values are ids, some of them chosen by users.
fn trace_headers(trace: &Object, headers: &mut HeaderMap) {
    if trace.is_empty() {
        return;
    }
    let text = Value::Object(trace.clone()).to_string();
    headers.insert("x-abstractcore-trace-metadata", clean_value(&text));
    for (key, header) in [
        ("actor_id", "x-abstractcore-actor-id"),
        ("session_id", "x-abstractcore-session-id"),
        ("run_id", "x-abstractcore-run-id"),
        ("parent_run_id", "x-abstractcore-parent-run-id"),
    ] {
        if let Some(id) = trace.get(key).and_then(Value::as_str) {
            headers.insert(header, clean_value(id));
        }
    }
}

#[async_trait]
impl ChatModel for Split {
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        self.check_allowed(&req.model)?;
        let timeout = self.transport.timeout(req.timeout);
        let body = Value::Object(self.body(&req, timeout, sink.is_some())?);
        let mut headers = call_headers(&req)?;
        trace_headers(&req.trace, &mut headers);
        let url = self.transport.url(PATH);
        let started = Instant::now();
        let request = StreamRequest {
            path: PATH,
            body: &body,
            headers,
            framing: Framing::Events,
            timeout,
            cancel: &cancel,
        };
        let answer = ask::<Assembly>(&self.transport, request, sink).await?;
        let place = self.transport.place(&url);
        let mut reply = chat_reply(&place, &req.model, answer.raw, self.transport.secret())?;
        reply.gen_time_ms = started.elapsed().as_secs_f64() * 1000.0;
        reply.ttft_ms = answer.ttft_ms;
        reply.provider_request = sent_request(&url, body);
        reply.trace_id = trace_id(&answer.headers);
        Ok(reply)
    }
}

#[async_trait]
impl Embedder for Split {
    async fn embed(&self, req: EmbedRequest, cancel: CancellationToken) -> Result<EmbedReply, ProviderError> {
        self.check_allowed(&req.model)?;
        let model = req.model.clone();
        let routed = EmbedRequest {
            model: self.model(&req.model),
            ..req
        };
        let mut more = Object::new();
        more.insert("encoding_format".to_owned(), "float".into());
        more.extend(self.base_url().map(|url| ("base_url".to_owned(), url.into())));
        let reply = self.embedder.embed_with(routed, more, cancel).await?;
        Ok(EmbedReply { model, ..reply })
    }
}

#[async_trait]
impl ModelCatalogue for Split {
    async fn list_models(&self, cancel: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let family = self.behind.family.name;
        let mut url = self.transport.url("models");
        url.query_pairs_mut().append_pair("provider", family);
        if let Some(base) = self.base_url() {
            url.query_pairs_mut().append_pair("base_url", base);
        }
        let exchange = Exchange {
            method: Method::GET,
            path: "models",
            timeout: LIST_TIMEOUT,
            cancel: &cancel,
        };
        let (answer, _) = self
            .transport
            .json_at(url, exchange, None, HeaderMap::new())
            .await?;
        let prefix = format!("{family}/");
        let mut models = listed(&answer);
        for model in &mut models {
            if let Some(bare) = model.id.strip_prefix(&prefix) {
                model.id = bare.to_owned();
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_arguments_have_a_default() {
        let spec = ToolSpec {
            name: "get_w".to_owned(),
            description: "d".to_owned(),
            parameters: json!({"type":"object","properties":{"u":{"type":"string"},"city":{"type":"string"}},"required":["city"]}),
        };
        assert_eq!(
            tool(&spec),
            json!({"name":"get_w","description":"d","parameters":{"u":{"type":"string","default":null},
                "city":{"type":"string"}},"required_args":["city"]})
        );
    }

    #[test]
    fn trace_headers_hold_no_line_breaks() {
        let mut headers = HeaderMap::new();
        trace_headers(&Object::new(), &mut headers);
        assert!(headers.is_empty());
        let trace = Object::from_iter([
            ("run_id".to_owned(), json!("r1")),
            ("session_id".to_owned(), json!("s\r\nx: y")),
        ]);
        trace_headers(&trace, &mut headers);
        assert_eq!(headers["x-abstractcore-run-id"], "r1");
        assert_eq!(headers["x-abstractcore-session-id"], "s??x: y");
        assert_eq!(
            headers["x-abstractcore-trace-metadata"],
            "{\"run_id\":\"r1\",\"session_id\":\"s\\r\\nx: y\"}"
        );
    }
}
