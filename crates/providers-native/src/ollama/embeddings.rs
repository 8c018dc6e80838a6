//! Embeddings, one request per text.

use std::sync::Arc;

use ag_providers::media::{EmbedReply, EmbedRequest};
use ag_providers::retry::{Pause, RetryPolicy, retrying};
use ag_providers::{Embedder, ProviderError};
use ag_providers_http::transport::{Exchange, Transport};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::models::Catalogue;
use crate::list::{check_allowed, explain};

const PATH: &str = "api/embeddings";

pub(super) struct OllamaEmbedder {
    pub(super) transport: Transport,
    pub(super) retry: RetryPolicy,
    pub(super) pause: Arc<dyn Pause>,
}

#[async_trait]
impl Embedder for OllamaEmbedder {
    async fn embed(&self, req: EmbedRequest, cancel: CancellationToken) -> Result<EmbedReply, ProviderError> {
        check_allowed(&self.transport, &req.model)?;
        let timeout = self.transport.timeout(req.timeout);
        let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(req.input.len());
        for text in &req.input {
            let body = json!({ "model": req.model, "prompt": text });
            let (body, cancel) = (&body, &cancel);
            let answer = retrying(&self.retry, self.pause.as_ref(), cancel, |_, _| async move {
                let exchange = Exchange {
                    method: Method::POST,
                    path: PATH,
                    timeout,
                    cancel,
                };
                self.transport.json(exchange, Some(body), HeaderMap::new()).await
            })
            .await;
            let raw = match answer {
                Ok((raw, _)) => raw,
                Err(error) => {
                    let catalogue = Catalogue(self.transport.clone());
                    return Err(explain(error, &self.transport, &catalogue, &req.model, cancel).await);
                }
            };
            let place = self.transport.place(&self.transport.url(PATH));
            let vector = vector(&raw).ok_or_else(|| place.unreadable("no vector"))?;
            if vectors.first().is_some_and(|first| first.len() != vector.len()) {
                return Err(place.unreadable("vectors of different lengths"));
            }
            vectors.push(vector);
        }
        Ok(EmbedReply {
            model: req.model,
            vectors,
            usage: None,
        })
    }
}

fn vector(raw: &Value) -> Option<Vec<f32>> {
    let numbers = raw.get("embedding")?.as_array()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "vectors are stored in single precision"
    )]
    let vector: Option<Vec<f32>> = numbers
        .iter()
        .map(|number| number.as_f64().map(|number| number as f32))
        .collect();
    vector.filter(|vector| !vector.is_empty())
}
