//! Scripted models for tests.

mod media;

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::chat::{ChatDelta, ChatMessage, ChatReply, ChatRequest, Role, ToolCall, Usage};
use crate::error::ProviderError;
use crate::media::{EmbedReply, EmbedRequest};
use crate::ports::{ChatModel, DeltaSink, Embedder};

pub use media::{FakeMedia, MediaAsked};

/// One scripted answer.
#[derive(Clone, Debug)]
pub struct Step {
    result: Result<ChatReply, ProviderError>,
    delay: Duration,
    hang: bool,
}

impl Step {
    /// An answer as given.
    #[must_use]
    pub fn reply(reply: ChatReply) -> Self {
        Self {
            result: Ok(reply),
            delay: Duration::ZERO,
            hang: false,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::reply(ChatReply {
            content: Some(text.to_owned()),
            finish_reason: Some("stop".to_owned()),
            ..ChatReply::default()
        })
    }

    /// Tool calls.
    #[must_use]
    pub fn calls(calls: Vec<ToolCall>) -> Self {
        Self::reply(ChatReply {
            tool_calls: calls,
            finish_reason: Some("tool_calls".to_owned()),
            ..ChatReply::default()
        })
    }

    /// A failure.
    #[must_use]
    pub fn fail(error: ProviderError) -> Self {
        Self {
            result: Err(error),
            delay: Duration::ZERO,
            hang: false,
        }
    }

    /// No answer until cancelled.
    #[must_use]
    pub fn hang() -> Self {
        Self {
            hang: true,
            ..Self::text("")
        }
    }

    /// The answer comes later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// Answers with its script in order, then echoes the last user text; keeps the requests.
#[derive(Debug, Default)]
pub struct FakeChat {
    steps: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<ChatRequest>>,
}

impl FakeChat {
    /// A model with this script.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Self {
            steps: Mutex::new(steps.into()),
            requests: Mutex::default(),
        }
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().clone()
    }
}

#[async_trait]
impl ChatModel for FakeChat {
    /// The whole answer is one piece.
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        let step = self.steps.lock().pop_front().unwrap_or_else(|| {
            let last = req
                .messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User)
                .map(last_text);
            Step::text(&format!("echo: {}", last.unwrap_or_default()))
        });
        let model = req.model.clone();
        self.requests.lock().push(req);
        let answer = async {
            if step.hang {
                std::future::pending::<()>().await;
            }
            if !step.delay.is_zero() {
                tokio::time::sleep(step.delay).await;
            }
            step.result
        };
        let mut reply = tokio::select! {
            () = cancel.cancelled() => return Err(ProviderError::Cancelled),
            result = answer => result?,
        };
        if reply.model.is_empty() {
            reply.model = model;
        }
        if reply.usage.is_none() {
            reply.usage = Some(Usage {
                input_tokens: 11,
                output_tokens: 7,
                total_tokens: 18,
                ..Usage::default()
            });
        }
        if reply.provider_request.is_null() {
            reply.provider_request = json!({ "url": "fake:", "payload": {} });
        }
        if let (Some(sink), Some(content)) = (sink, &reply.content) {
            sink(ChatDelta::Content(content.clone()));
        }
        Ok(reply)
    }
}

fn last_text(message: &ChatMessage) -> String {
    message.content.text()
}

/// Vectors from character counts: equal texts are equal, different ones usually differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeEmbedder;

#[async_trait]
impl Embedder for FakeEmbedder {
    async fn embed(
        &self,
        req: EmbedRequest,
        _cancel: CancellationToken,
    ) -> Result<EmbedReply, ProviderError> {
        let vectors = req
            .input
            .iter()
            .map(|text| {
                let mut vector = vec![0.0_f32; 8];
                for byte in text.bytes() {
                    vector[usize::from(byte % 8)] += 1.0;
                }
                let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
                if norm > 0.0 {
                    vector.iter_mut().for_each(|value| *value /= norm);
                }
                vector
            })
            .collect();
        Ok(EmbedReply {
            model: req.model,
            vectors,
            usage: None,
        })
    }
}
