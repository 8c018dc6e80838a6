//! The model list, page by page.

use ag_providers::media::ModelInfo;
use ag_providers::{ModelCatalogue, ProviderError};
use ag_providers_http::transport::{Exchange, Transport};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::version_header;
use crate::list::LIST_TIMEOUT;

/// A server that never ends its list is left after these.
const MAX_PAGES: usize = 20;

pub(super) struct Catalogue(pub(super) Transport);

#[async_trait]
impl ModelCatalogue for Catalogue {
    async fn list_models(&self, cancel: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError> {
        let mut models = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut url = self.0.url("v1/models");
            if let Some(id) = &after {
                url.query_pairs_mut().append_pair("after_id", id);
            }
            let exchange = Exchange {
                method: Method::GET,
                path: "v1/models",
                timeout: LIST_TIMEOUT,
                cancel: &cancel,
            };
            let (page, _) = self.0.json_at(url, exchange, None, version_header()).await?;
            let before = models.len();
            models.extend(page["data"].as_array().into_iter().flatten().filter_map(model));
            let more = page["has_more"].as_bool().unwrap_or(false) && models.len() > before;
            after = page["last_id"].as_str().map(str::to_owned);
            if !more || after.is_none() {
                break;
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }
}

fn model(entry: &Value) -> Option<ModelInfo> {
    let id = entry
        .get("id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty())?;
    Some(ModelInfo {
        id: id.to_owned(),
        context_length: entry.get("max_input_tokens").and_then(Value::as_u64),
    })
}
