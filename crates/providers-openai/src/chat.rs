//! Chat over the wire.

use std::sync::Arc;
use std::time::Instant;

use ag_providers::ports::DeltaSink;
use ag_providers::{CapabilityTable, ChatModel, ChatReply, ChatRequest, ProviderError};
use ag_providers_http::events::Framing;
use ag_providers_http::streamed::{StreamRequest, Streamed, ask};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::models::{KnownModels, check_name, explain_404};
use crate::request::{ChatBody, chat_body};
use crate::response::chat_reply;
use crate::stream::Assembly;
use crate::transport::{Transport, call_headers, sent_request, trace_id};

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
}

#[async_trait]
impl ChatModel for OpenAiChat {
    async fn ask(
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
        let timeout = self.transport.timeout(req.timeout);
        let request = StreamRequest {
            path: PATH,
            body: &body,
            headers,
            framing: Framing::Events,
            timeout,
            cancel: &cancel,
        };
        let answer = ask::<Assembly>(&self.transport, request, sink).await;
        let Streamed {
            raw,
            headers,
            ttft_ms,
        } = match answer {
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
        reply.provider_request = sent_request(&url, body);
        reply.trace_id = trace_id(&headers);
        reply.warnings = warnings;
        Ok(reply)
    }
}
