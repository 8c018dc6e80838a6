//! The model list, and what is in memory.

use std::time::Duration;

use ag_providers::media::{LoadedModel, ModelInfo};
use ag_providers::{ModelCatalogue, ModelResidency, ProviderError};
use ag_providers_http::transport::{Exchange, Transport};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::list::LIST_TIMEOUT;

/// Loading reads a whole model from disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(600);
const LOADED_TIMEOUT: Duration = Duration::from_secs(10);

async fn call(
    transport: &Transport,
    path: &str,
    body: Option<&Value>,
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<Value, ProviderError> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let exchange = Exchange {
        method,
        path,
        timeout,
        cancel,
    };
    let answer = transport.json(exchange, body, HeaderMap::new()).await;
    answer.map(|(value, _)| value)
}

fn names(answer: &Value) -> impl Iterator<Item = &str> {
    let entries = answer.get("models").and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|entry| {
        let name = ["name", "model"].iter().find_map(|key| entry.get(*key)?.as_str());
        name.filter(|name| !name.is_empty())
    })
}

pub(super) struct Catalogue(pub(super) Transport);

#[async_trait]
impl ModelCatalogue for Catalogue {
    async fn list_models(&self, cancel: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let answer = call(&self.0, "api/tags", None, LIST_TIMEOUT, &cancel).await?;
        let mut models: Vec<ModelInfo> = names(&answer)
            .map(|name| ModelInfo {
                id: name.to_owned(),
                context_length: None,
            })
            .collect();
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }
}

pub(super) struct Residency(pub(super) Transport);

#[async_trait]
impl ModelResidency for Residency {
    async fn loaded(&self, cancel: CancellationToken) -> Result<Vec<LoadedModel>, ProviderError> {
        let answer = call(&self.0, "api/ps", None, LOADED_TIMEOUT, &cancel).await?;
        let loaded = names(&answer).map(|name| LoadedModel {
            model: name.to_owned(),
            instance_id: None,
            loaded: true,
        });
        Ok(loaded.collect())
    }

    async fn load(&self, model: &str, cancel: CancellationToken) -> Result<LoadedModel, ProviderError> {
        let body = json!({ "model": model, "prompt": "", "stream": false });
        call(&self.0, "api/generate", Some(&body), LOAD_TIMEOUT, &cancel).await?;
        Ok(LoadedModel {
            model: model.to_owned(),
            instance_id: None,
            loaded: true,
        })
    }

    async fn unload(
        &self,
        model: &str,
        cancel: CancellationToken,
    ) -> Result<Option<LoadedModel>, ProviderError> {
        let loaded = self.loaded(cancel.clone()).await?;
        // A name without a tag means the newest.
        let full = format!("{model}:latest");
        let found = loaded
            .into_iter()
            .find(|loaded| loaded.model == model || loaded.model == full);
        let Some(found) = found else { return Ok(None) };
        let body = json!({ "model": found.model, "prompt": "", "stream": false, "keep_alive": 0 });
        call(&self.0, "api/generate", Some(&body), LOADED_TIMEOUT, &cancel).await?;
        Ok(Some(LoadedModel {
            loaded: false,
            ..found
        }))
    }
}
