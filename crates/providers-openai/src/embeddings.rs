//! Embeddings over the wire.

use std::sync::Arc;

use ag_providers::media::{EmbedReply, EmbedRequest};
use ag_providers::retry::{Pause, RetryPolicy, retrying};
use ag_providers::{Embedder, Object, ProviderError};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::models::explain_404;
use crate::response::usage;
use crate::transport::{Exchange, Transport};

pub(crate) struct OpenAiEmbedder {
    pub(crate) transport: Transport,
    pub(crate) retry: RetryPolicy,
    pub(crate) pause: Arc<dyn Pause>,
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    async fn embed(&self, req: EmbedRequest, cancel: CancellationToken) -> Result<EmbedReply, ProviderError> {
        self.embed_with(req, Object::new(), cancel).await
    }
}

impl OpenAiEmbedder {
    /// As [`Embedder::embed`], with further body members.
    pub(crate) async fn embed_with(
        &self,
        req: EmbedRequest,
        more: Object,
        cancel: CancellationToken,
    ) -> Result<EmbedReply, ProviderError> {
        if req.input.is_empty() {
            return Ok(EmbedReply {
                model: req.model,
                ..EmbedReply::default()
            });
        }
        let mut body = json!({ "input": req.input, "model": req.model });
        if let Some(map) = body.as_object_mut() {
            map.extend(
                req.dimensions
                    .map(|count| ("dimensions".to_owned(), count.into())),
            );
            map.extend(more);
        }
        let timeout = self.transport.timeout(req.timeout);
        let (body, cancel) = (&body, &cancel);
        let answer = retrying(&self.retry, self.pause.as_ref(), cancel, |_, _| async move {
            let exchange = Exchange {
                method: Method::POST,
                path: "embeddings",
                timeout,
                cancel,
            };
            self.transport.json(exchange, Some(body), HeaderMap::new()).await
        })
        .await;
        let raw = match answer {
            Ok((raw, _)) => raw,
            Err(ProviderError::Api(failure)) if failure.status == 404 => {
                return Err(
                    explain_404(&self.transport, &req.model, ProviderError::Api(failure), cancel).await,
                );
            }
            Err(error) => return Err(error),
        };
        let vectors = vectors(&raw, req.input.len()).ok_or_else(|| {
            let place = self.transport.place(&self.transport.url("embeddings"));
            ProviderError::Unreadable {
                family: place.family,
                detail: "not one vector per text".to_owned(),
                url: place.url,
            }
        })?;
        Ok(EmbedReply {
            model: raw
                .get("model")
                .and_then(Value::as_str)
                .unwrap_or(&req.model)
                .to_owned(),
            vectors,
            usage: raw.get("usage").and_then(usage),
        })
    }
}

/// In the order of `index`; `None` when one is missing, empty or of another length than the rest.
fn vectors(raw: &Value, count: usize) -> Option<Vec<Vec<f32>>> {
    let data = raw.get("data")?.as_array()?;
    let mut vectors = vec![Vec::new(); count];
    for (position, item) in data.iter().enumerate() {
        let index = item
            .get("index")
            .and_then(Value::as_u64)
            .map_or(Some(position), |index| usize::try_from(index).ok())?;
        let numbers = item.get("embedding")?.as_array()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "vectors are stored in single precision"
        )]
        let vector = numbers
            .iter()
            .map(|number| number.as_f64().map(|number| number as f32))
            .collect::<Option<_>>()?;
        *vectors.get_mut(index)? = vector;
    }
    let length = vectors.first()?.len();
    (length > 0 && vectors.iter().all(|vector| vector.len() == length)).then_some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_ordered_and_complete() {
        let item = |index: u64, numbers: Value| json!({"index":index,"embedding":numbers});
        let raw = json!({"data":[item(1, json!([3, 4])), item(0, json!([1, 2]))]});
        assert_eq!(vectors(&raw, 2), Some(vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
        assert_eq!(vectors(&raw, 3), None, "one is missing");
        assert_eq!(
            vectors(&json!({"data":[item(0, json!([1])), item(1, json!([1, 2]))]}), 2),
            None
        );
        assert_eq!(vectors(&json!({"data":[item(9, json!([1]))]}), 1), None);
        assert_eq!(vectors(&json!({"data":[item(0, json!(["x"]))]}), 1), None);
        assert_eq!(vectors(&json!({}), 1), None);
    }
}
