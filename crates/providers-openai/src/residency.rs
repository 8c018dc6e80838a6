//! What LM Studio has in memory.

use std::time::Duration;

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
        (transport.endpoint().family.name == "lmstudio").then_some(Self(transport))
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
        let answer = self.call("api/v1/models", None, &cancel).await?;
        let list = ["models", "data"]
            .iter()
            .find_map(|key| answer.get(*key)?.as_array());
        Ok(list.into_iter().flatten().flat_map(loaded_models).collect())
    }

    async fn load(&self, model: &str, cancel: CancellationToken) -> Result<LoadedModel, ProviderError> {
        let body = json!({ "model": model });
        let answer = self.call("api/v1/models/load", Some(&body), &cancel).await?;
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
        let loaded = self.loaded(cancel.clone()).await?;
        let Some(found) = loaded.into_iter().find(|loaded| loaded.model == model) else {
            return Ok(None);
        };
        let instance = found.instance_id.clone().unwrap_or_else(|| model.to_owned());
        let body = json!({ "instance_id": instance });
        self.call("api/v1/models/unload", Some(&body), &cancel).await?;
        Ok(Some(LoadedModel {
            loaded: false,
            ..found
        }))
    }
}

/// It lists what it has, with the loaded instances of each.
fn loaded_models(entry: &Value) -> Vec<LoadedModel> {
    let name = ["key", "id", "model", "name"]
        .iter()
        .find_map(|key| entry.get(*key).and_then(Value::as_str));
    let Some(name) = name else { return Vec::new() };
    let instances = entry.get("loaded_instances").and_then(Value::as_array);
    instances
        .into_iter()
        .flatten()
        .map(|instance| LoadedModel {
            model: name.to_owned(),
            instance_id: instance.get("id").and_then(Value::as_str).map(str::to_owned),
            loaded: true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_instances() {
        let studio = loaded_models(&json!({"key":"q","loaded_instances":[{"id":"q:1"}]}));
        assert_eq!(studio[0].instance_id.as_deref(), Some("q:1"));
        assert!(loaded_models(&json!({"key":"q","loaded_instances":[]})).is_empty());
        assert!(loaded_models(&json!(7)).is_empty());
    }
}
