//! Loading and unloading where a server offers it: Ollama and LM Studio.

use std::time::Duration;

use ag_providers::family::Wire;
use ag_providers::media::LoadedModel;
use ag_providers::{ModelResidency, ProviderError};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::transport::{Exchange, Transport};

/// Loading reads a whole model from disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(600);
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Residency(Transport);

impl Residency {
    /// `None` for a family that has no such interface.
    pub(crate) fn new(transport: Transport) -> Option<Self> {
        let family = transport.endpoint().family;
        (family.wire == Wire::Ollama || family.name == "lmstudio").then_some(Self(transport))
    }

    fn is_ollama(&self) -> bool {
        self.0.endpoint().family.wire == Wire::Ollama
    }

    async fn call(
        &self,
        path: &str,
        body: Option<&Value>,
        cancel: &CancellationToken,
    ) -> Result<Value, ProviderError> {
        let (method, timeout) = if body.is_some() {
            (Method::POST, LOAD_TIMEOUT)
        } else {
            (Method::GET, LIST_TIMEOUT)
        };
        let exchange = Exchange {
            method,
            path,
            timeout,
            cancel,
        };
        let url = self.0.root_url(path);
        self.0
            .json_at(url, exchange, body, HeaderMap::new())
            .await
            .map(|(value, _)| value)
    }
}

#[async_trait]
impl ModelResidency for Residency {
    async fn loaded(&self, cancel: CancellationToken) -> Result<Vec<LoadedModel>, ProviderError> {
        let path = if self.is_ollama() {
            "api/ps"
        } else {
            "api/v1/models"
        };
        let answer = self.call(path, None, &cancel).await?;
        let list = ["models", "data"]
            .iter()
            .find_map(|key| answer.get(*key)?.as_array());
        Ok(list
            .into_iter()
            .flatten()
            .flat_map(|entry| loaded_models(entry, self.is_ollama()))
            .collect())
    }

    async fn load(&self, model: &str, cancel: CancellationToken) -> Result<LoadedModel, ProviderError> {
        let (path, body) = if self.is_ollama() {
            (
                "api/generate",
                json!({ "model": model, "prompt": "", "stream": false }),
            )
        } else {
            ("api/v1/models/load", json!({ "model": model }))
        };
        let answer = self.call(path, Some(&body), &cancel).await?;
        let instance_id = answer
            .get("instance_id")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(LoadedModel {
            model: model.to_owned(),
            instance_id,
            loaded: true,
        })
    }

    async fn unload(
        &self,
        model: &str,
        cancel: CancellationToken,
    ) -> Result<Option<LoadedModel>, ProviderError> {
        let found = self
            .loaded(cancel.clone())
            .await?
            .into_iter()
            .find(|loaded| loaded.model == model);
        let Some(found) = found else { return Ok(None) };
        let (path, body) = if self.is_ollama() {
            (
                "api/generate",
                json!({ "model": model, "prompt": "", "stream": false, "keep_alive": 0 }),
            )
        } else {
            let instance = found.instance_id.clone().unwrap_or_else(|| model.to_owned());
            ("api/v1/models/unload", json!({ "instance_id": instance }))
        };
        self.call(path, Some(&body), &cancel).await?;
        Ok(Some(LoadedModel {
            loaded: false,
            ..found
        }))
    }
}

/// Ollama lists what is loaded; LM Studio lists what it has, with the loaded instances of each.
fn loaded_models(entry: &Value, ollama: bool) -> Vec<LoadedModel> {
    let name = ["key", "id", "model", "name"]
        .iter()
        .find_map(|key| entry.get(*key).and_then(Value::as_str));
    let Some(name) = name else { return Vec::new() };
    let loaded = |instance_id| LoadedModel {
        model: name.to_owned(),
        instance_id,
        loaded: true,
    };
    if ollama {
        return vec![loaded(None)];
    }
    let instances = entry.get("loaded_instances").and_then(Value::as_array);
    instances
        .into_iter()
        .flatten()
        .map(|instance| loaded(instance.get("id").and_then(Value::as_str).map(str::to_owned)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_instances() {
        let ollama = loaded_models(&json!({"name":"qwen3:4b","model":"qwen3:4b"}), true);
        assert_eq!(
            ollama,
            [LoadedModel {
                model: "qwen3:4b".to_owned(),
                instance_id: None,
                loaded: true
            }]
        );
        let studio = loaded_models(&json!({"key":"q","loaded_instances":[{"id":"q:1"}]}), false);
        assert_eq!(studio[0].instance_id.as_deref(), Some("q:1"));
        assert!(loaded_models(&json!({"key":"q","loaded_instances":[]}), false).is_empty());
        assert!(loaded_models(&json!(7), true).is_empty());
    }
}
