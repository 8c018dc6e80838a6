//! The server's model list, and the check of a name before its first use.

use std::collections::HashSet;
use std::time::Duration;

use ag_providers::media::ModelInfo;
use ag_providers::{ModelCatalogue, ProviderError};
use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::transport::{Exchange, Transport};

/// Limit of the list request that precedes the first use of a name.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of a list request that somebody asked for.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Names remembered by the process.
const MAX_KNOWN: usize = 10_000;

/// Names that need no further check in this process: found in their server's list, or their server has none.
#[derive(Debug, Default)]
pub(crate) struct KnownModels {
    names: Mutex<HashSet<(String, String)>>,
}

impl KnownModels {
    fn contains(&self, key: &(String, String)) -> bool {
        self.names.lock().contains(key)
    }

    fn insert(&self, key: (String, String)) {
        let mut names = self.names.lock();
        if names.len() >= MAX_KNOWN {
            names.clear();
        }
        names.insert(key);
    }
}

/// All models of the server, sorted, without repeats.
pub(crate) async fn fetch(
    transport: &Transport,
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<Vec<ModelInfo>, ProviderError> {
    let exchange = Exchange {
        method: Method::GET,
        path: "models",
        timeout,
        cancel,
    };
    let (answer, _) = transport.json(exchange, None, HeaderMap::new()).await?;
    let mut models = listed(&answer);
    models.sort_by(|a, b| a.id.cmp(&b.id));
    models.dedup_by(|a, b| a.id == b.id);
    Ok(models)
}

/// The entries of a list, in whichever member it is.
pub(crate) fn listed(answer: &Value) -> Vec<ModelInfo> {
    let list = ["data", "models"]
        .iter()
        .find_map(|key| answer.get(*key))
        .unwrap_or(answer);
    list.as_array().into_iter().flatten().filter_map(model).collect()
}

fn model(entry: &Value) -> Option<ModelInfo> {
    let id = ["id", "name", "model"]
        .iter()
        .find_map(|key| entry.get(*key).and_then(Value::as_str))
        .or(entry.as_str())?;
    let context_length = [
        "max_model_len",
        "max_context_length",
        "context_length",
        "context_window",
    ]
    .iter()
    .find_map(|key| entry.get(*key).and_then(Value::as_u64))
    .or_else(|| entry.pointer("/meta/n_ctx_train").and_then(Value::as_u64));
    (!id.is_empty()).then(|| ModelInfo {
        id: id.to_owned(),
        context_length,
    })
}

/// OpenAI's list holds everything it ever sold; these are the ones to talk to, and the embedding models.
fn is_listed_openai_model(id: &str) -> bool {
    let prefixes = ["gpt-3.5", "gpt-4", "gpt-5", "o1", "o3", "o4", "chatgpt-"];
    id.contains("embedding") || prefixes.iter().any(|prefix| id.starts_with(prefix))
}

/// Looks a name up in the server's list before its first use in this process. A list that cannot be had is ignored.
///
/// # Errors
/// [`ProviderError::ModelNotFound`] with what exists, and [`ProviderError::Cancelled`].
pub(crate) async fn check_name(
    transport: &Transport,
    known: &KnownModels,
    model: &str,
    cancel: &CancellationToken,
) -> Result<(), ProviderError> {
    let endpoint = transport.endpoint();
    if !endpoint.allowed_models.is_empty() && !endpoint.allowed_models.iter().any(|allowed| allowed == model)
    {
        return Err(not_found(transport, model, endpoint.allowed_models.clone()));
    }
    if !endpoint.family.checks_model_names {
        return Ok(());
    }
    let key = (endpoint.base_url.clone(), model.to_owned());
    if known.contains(&key) {
        return Ok(());
    }
    match fetch(transport, CHECK_TIMEOUT, cancel).await {
        Err(ProviderError::Cancelled) => return Err(ProviderError::Cancelled),
        Ok(models) if !models.is_empty() && !models.iter().any(|info| info.id == model) => {
            return Err(not_found(
                transport,
                model,
                models.into_iter().map(|info| info.id).collect(),
            ));
        }
        _ => known.insert(key),
    }
    Ok(())
}

/// After a 404: the model is missing if the list says so, otherwise the server's own answer stands.
pub(crate) async fn explain_404(
    transport: &Transport,
    model: &str,
    error: ProviderError,
    cancel: &CancellationToken,
) -> ProviderError {
    match fetch(transport, CHECK_TIMEOUT, cancel).await {
        Ok(models) if !models.iter().any(|info| info.id == model) => {
            not_found(transport, model, models.into_iter().map(|info| info.id).collect())
        }
        _ => error,
    }
}

fn not_found(transport: &Transport, model: &str, available: Vec<String>) -> ProviderError {
    ProviderError::ModelNotFound {
        provider: transport.endpoint().provider.clone(),
        model: model.to_owned(),
        available,
    }
}

pub(crate) struct Catalogue(pub(crate) Transport);

#[async_trait]
impl ModelCatalogue for Catalogue {
    async fn list_models(&self, cancel: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let mut models = fetch(&self.0, LIST_TIMEOUT, &cancel).await?;
        if self.0.endpoint().family.name == "openai" {
            models.retain(|info| is_listed_openai_model(&info.id));
        }
        Ok(models)
    }
}
