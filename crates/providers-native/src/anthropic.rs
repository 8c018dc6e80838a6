//! Anthropic's messages protocol.

mod models;
mod request;
mod response;
mod stream;
mod thinking;
mod turns;

use std::sync::Arc;
use std::time::Instant;

use ag_providers::family::Wire;
use ag_providers::ports::DeltaSink;
use ag_providers::{
    CapabilityTable, ChatModel, ChatReply, ChatRequest, ProviderClient, ProviderEndpoint, ProviderError,
};
use ag_providers_http::events::Framing;
use ag_providers_http::streamed::{StreamRequest, ask};
use ag_providers_http::transport::{Transport, call_headers, sent_request, trace_id};
use ag_providers_http::{Kit, WireAdapter};
use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::list::{check_allowed, explain};
use models::Catalogue;
use request::Prepared;
use stream::Assembly;

const PATH: &str = "v1/messages";

/// The protocol's version, in every request.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// The messages protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnthropicWire;

impl WireAdapter for AnthropicWire {
    fn wire(&self) -> Wire {
        Wire::Anthropic
    }

    fn ports(&self, endpoint: Arc<ProviderEndpoint>, transport: Transport, kit: &Kit) -> ProviderClient {
        let chat = Arc::new(AnthropicChat {
            transport: transport.clone(),
            table: Arc::clone(&kit.table),
        });
        ProviderClient {
            catalogue: Some(Arc::new(Catalogue(transport))),
            ..ProviderClient::new(endpoint, chat)
        }
    }
}

struct AnthropicChat {
    transport: Transport,
    table: Arc<CapabilityTable>,
}

impl AnthropicChat {}

#[async_trait]
impl ChatModel for AnthropicChat {
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        check_allowed(&self.transport, &req.model)?;
        let caps = self.table.lookup(&req.model);
        let Prepared {
            body,
            warnings,
            extract,
        } = request::body(&caps, &req, sink.is_some())?;
        let body = Value::Object(body);
        let mut headers = call_headers(&req)?;
        headers.insert(VERSION.0, HeaderValue::from_static(VERSION.1));
        let url = self.transport.url(PATH);
        let timeout = self.transport.timeout(req.timeout);
        let started = Instant::now();
        let request = StreamRequest {
            path: PATH,
            body: &body,
            headers,
            framing: Framing::Events,
            timeout,
            cancel: &cancel,
        };
        let answer = ask::<Assembly>(&self.transport, request, sink).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let catalogue = Catalogue(self.transport.clone());
                return Err(explain(error, &self.transport, &catalogue, &req.model, &cancel).await);
            }
        };
        let place = self.transport.place(&url);
        let mut reply = response::reply(
            &place,
            &req.model,
            answer.raw,
            extract.as_deref(),
            self.transport.secret(),
        )?;
        reply.gen_time_ms = started.elapsed().as_secs_f64() * 1000.0;
        reply.ttft_ms = answer.ttft_ms;
        reply.provider_request = sent_request(&url, body);
        reply.trace_id = trace_id(&answer.headers);
        reply.warnings = warnings;
        Ok(reply)
    }
}

fn version_header() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(VERSION.0, HeaderValue::from_static(VERSION.1));
    headers
}
