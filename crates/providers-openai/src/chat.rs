//! Chat over the wire.

use std::sync::Arc;
use std::time::Instant;

use ag_outbound::read_body;
use ag_providers::ports::DeltaSink;
use ag_providers::{CapabilityTable, ChatModel, ChatReply, ChatRequest, ProviderError};
use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::errors::{Place, from_transport};
use crate::models::{KnownModels, check_name, explain_404};
use crate::request::{ChatBody, chat_body};
use crate::response::chat_reply;
use crate::stream::{Assembly, EventReader};
use crate::transport::{Exchange, Transport, public_url};

const PATH: &str = "chat/completions";

/// One endpoint's conversation port, without retries.
pub(crate) struct OpenAiChat {
    transport: Transport,
    table: Arc<CapabilityTable>,
    known: Arc<KnownModels>,
}

impl OpenAiChat {
    pub(crate) fn new(transport: Transport, table: Arc<CapabilityTable>, known: Arc<KnownModels>) -> Self {
        Self {
            transport,
            table,
            known,
        }
    }

    async fn run(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        check_name(&self.transport, &self.known, &req.model, &cancel).await?;
        let caps = self.table.lookup(&req.model);
        let ChatBody { body, warnings } =
            chat_body(self.transport.endpoint().family.name, &caps, &req, sink.is_some())?;
        let headers = call_headers(&req)?;
        let body = Value::Object(body);
        let url = self.transport.url(PATH);
        let place = self.transport.place(&url);
        let started = Instant::now();
        let answer = match sink {
            None => self
                .whole(&req, &body, headers, &cancel)
                .await
                .map(|(raw, headers)| (raw, headers, None)),
            Some(sink) => {
                self.streamed(&req, &body, headers, &cancel, &place, sink, started)
                    .await
            }
        };
        let (raw, headers, ttft_ms) = match answer {
            Ok(answer) => answer,
            Err(ProviderError::Api(failure)) if failure.status == 404 => {
                let error = ProviderError::Api(failure);
                return Err(explain_404(&self.transport, &req.model, error, &cancel).await);
            }
            Err(error) => return Err(error),
        };
        let mut reply = chat_reply(&place, &req.model, raw, self.transport.secret())?;
        reply.gen_time_ms = started.elapsed().as_secs_f64() * 1000.0;
        reply.ttft_ms = ttft_ms;
        reply.provider_request = json!({ "url": public_url(&url), "payload": body });
        reply.trace_id = ["x-abstractcore-trace-id", "x-request-id"]
            .iter()
            .find_map(|name| {
                headers
                    .get(*name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            });
        reply.warnings = warnings;
        Ok(reply)
    }

    async fn whole(
        &self,
        req: &ChatRequest,
        body: &Value,
        headers: HeaderMap,
        cancel: &CancellationToken,
    ) -> Result<(Value, HeaderMap), ProviderError> {
        let timeout = self.transport.timeout(req.timeout);
        let exchange = Exchange {
            method: Method::POST,
            path: PATH,
            timeout,
            cancel,
        };
        self.transport.json(exchange, Some(body), headers).await
    }

    async fn streamed(
        &self,
        req: &ChatRequest,
        body: &Value,
        headers: HeaderMap,
        cancel: &CancellationToken,
        place: &Place,
        sink: DeltaSink<'_>,
        started: Instant,
    ) -> Result<(Value, HeaderMap, Option<f64>), ProviderError> {
        let transport = &self.transport;
        let timeout = transport.timeout(req.timeout);
        transport
            .bounded(place, timeout, cancel, async {
                let prepare = |request: reqwest::RequestBuilder| request.json(body).headers(headers);
                let mut response = transport
                    .send(transport.url(PATH), Method::POST, prepare, place)
                    .await?;
                let headers = response.headers().clone();
                if !is_event_stream(&headers) {
                    // A server that does not stream answers whole.
                    let limit = transport.max_response_bytes();
                    let body = read_body(response, limit)
                        .await
                        .map_err(|error| transport.body_error(place, error))?;
                    let raw = serde_json::from_slice(&body).map_err(|_| unreadable(place, "not JSON"))?;
                    return Ok((raw, headers, None));
                }
                let first = Mutex::new(None);
                let timed = |delta| {
                    first
                        .lock()
                        .get_or_insert_with(|| started.elapsed().as_secs_f64() * 1000.0);
                    sink(delta);
                };
                let (mut reader, mut assembly) = (EventReader::default(), Assembly::default());
                let mut received = 0_usize;
                while !assembly.done() {
                    let chunk = response
                        .chunk()
                        .await
                        .map_err(|error| from_transport(place, error))?;
                    let Some(chunk) = chunk else { break };
                    received = received.saturating_add(chunk.len());
                    if received > transport.max_response_bytes() {
                        let limit = transport.max_response_bytes();
                        return Err(transport.body_error(place, ag_outbound::BodyError::TooLarge { limit }));
                    }
                    reader.push(&chunk, |data| assembly.event(place, data, &timed))?;
                }
                if let Some(data) = reader.rest() {
                    assembly.event(place, &data, &timed)?;
                }
                let raw = assembly.finish().ok_or_else(|| ProviderError::ConnectionLost {
                    family: place.family.clone(),
                    detail: "the stream ended before the answer".to_owned(),
                    url: place.url.clone(),
                })?;
                let ttft_ms = *first.lock();
                Ok((raw, headers, ttft_ms))
            })
            .await
    }
}

fn unreadable(place: &Place, detail: &str) -> ProviderError {
    ProviderError::Unreadable {
        family: place.family.clone(),
        detail: detail.to_owned(),
        url: place.url.clone(),
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Trace headers and the idempotency key. Names that cannot be sent are a caller's error, values are cleaned: they
/// hold ids that users chose.
fn call_headers(req: &ChatRequest) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &req.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| ProviderError::Invalid(format!("header name '{name}' is not valid")))?;
        headers.insert(name, clean_value(value));
    }
    if let Some(key) = &req.idempotency_key {
        headers.insert("idempotency-key", clean_value(key));
    }
    Ok(headers)
}

fn clean_value(text: &str) -> HeaderValue {
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[async_trait]
impl ChatModel for OpenAiChat {
    async fn chat(&self, req: ChatRequest, cancel: CancellationToken) -> Result<ChatReply, ProviderError> {
        self.run(req, cancel, None).await
    }

    async fn chat_streaming(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: DeltaSink<'_>,
    ) -> Result<ChatReply, ProviderError> {
        self.run(req, cancel, Some(sink)).await
    }
}
