//! The prefix-cache key that calls of a model use when neither they nor their run says one (`prompt_cache/set`).

use std::collections::BTreeMap;

use ag_store::{Document, DocumentKind, PutMode, StoreError};
use ag_types::TenantScope;
use serde_json::{Value, json};

use super::CapabilityRoutes;

/// Keys by document id.
pub(super) type CacheKeys = BTreeMap<String, String>;

/// Providers are the same in any case, models are not.
fn id(provider: &str, model: &str) -> String {
    format!("{}\n{model}", provider.trim().to_lowercase())
}

/// The keys of stored documents; damaged ones count as absent.
pub(super) fn read(documents: Vec<Document>) -> CacheKeys {
    let key = |document: &Document| {
        let body: Value = serde_json::from_str(&document.body).ok()?;
        body.get("key").and_then(ag_pyvalue::opt_str)
    };
    let documents = documents.into_iter();
    documents
        .filter_map(|document| Some((document.id.clone(), key(&document)?)))
        .collect()
}

impl CapabilityRoutes {
    /// The plane's default key for a model.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prompt_cache_key(
        &self,
        scope: &TenantScope,
        provider: &str,
        model: &str,
    ) -> Result<Option<String>, StoreError> {
        let (_, keys) = self.held(scope).await?;
        Ok(keys.get(&id(provider, model)).cloned())
    }

    /// Chooses the default key of a model, or none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_prompt_cache_key(
        &self,
        scope: &TenantScope,
        provider: &str,
        model: &str,
        key: Option<&str>,
    ) -> Result<(), StoreError> {
        let (id, kind) = (id(provider, model), DocumentKind::PromptCacheKey);
        match key {
            None => {
                self.documents.delete_document(scope, kind, &id).await?;
            }
            Some(key) => {
                let document = Document {
                    id,
                    body: json!({ "key": key }).to_string(),
                    updated_at: self.clock.now(),
                };
                self.documents
                    .put_document(scope, kind, document, PutMode::Upsert)
                    .await?;
            }
        }
        self.cache.lock().remove(&scope.plane);
        Ok(())
    }
}
