//! Ollama's own protocol.

mod embeddings;
mod models;
mod request;
mod response;
mod stream;

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
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::list::{check_allowed, explain};
use embeddings::OllamaEmbedder;
use models::{Catalogue, Residency};
use stream::Assembly;

const PATH: &str = "api/chat";

/// The native protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct OllamaWire;

impl WireAdapter for OllamaWire {
    fn wire(&self) -> Wire {
        Wire::Ollama
    }

    fn ports(&self, endpoint: Arc<ProviderEndpoint>, transport: Transport, kit: &Kit) -> ProviderClient {
        let chat = Arc::new(OllamaChat {
            transport: transport.clone(),
            table: Arc::clone(&kit.table),
        });
        ProviderClient {
            embedder: Some(Arc::new(OllamaEmbedder {
                transport: transport.clone(),
                retry: kit.retry,
                pause: Arc::clone(&kit.pause),
            })),
            catalogue: Some(Arc::new(Catalogue(transport.clone()))),
            residency: Some(Arc::new(Residency(transport))),
            ..ProviderClient::new(endpoint, chat)
        }
    }
}

struct OllamaChat {
    transport: Transport,
    table: Arc<CapabilityTable>,
}

impl OllamaChat {}

#[async_trait]
impl ChatModel for OllamaChat {
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        check_allowed(&self.transport, &req.model)?;
        let caps = self.table.lookup(&req.model);
        let (body, warnings) = request::body(&caps, &req, sink.is_some())?;
        let body = Value::Object(body);
        let headers = call_headers(&req)?;
        let url = self.transport.url(PATH);
        let timeout = self.transport.timeout(req.timeout);
        let started = Instant::now();
        let request = StreamRequest {
            path: PATH,
            body: &body,
            headers,
            framing: Framing::Lines,
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
        let mut reply = response::reply(&place, &req.model, answer.raw, self.transport.secret())?;
        reply.gen_time_ms = started.elapsed().as_secs_f64() * 1000.0;
        reply.ttft_ms = answer.ttft_ms;
        reply.provider_request = sent_request(&url, body);
        reply.trace_id = trace_id(&answer.headers);
        reply.warnings = warnings;
        Ok(reply)
    }
}
