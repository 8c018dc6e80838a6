//! Providers and models as nodes list them. What cannot be reached is left out: a listing never fails
//! a run. A store that is away for a moment is waited for.

use std::sync::Arc;
use std::time::Duration;

use ag_kernel::{Exception, HostCall, HostOp};
use ag_providers::{CapabilityTable, FAMILIES, ProviderClient, ProviderDirectory, ProviderQuery};
use ag_store::{DocumentKind, Documents};
use ag_types::{PlaneId, TenantScope};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::resolver::{ResolveError, plane_name};
use crate::{handler::Failure, patience::patiently};

/// Limit of one model listing (contract, capability discovery §4).
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Lists providers and models.
#[derive(Clone)]
pub struct Catalogues {
    directory: Arc<dyn ProviderDirectory>,
    documents: Arc<dyn Documents>,
    table: Arc<CapabilityTable>,
    timeout: Duration,
}

impl Catalogues {
    /// Over known providers, stored connections and the model table.
    pub fn new(
        directory: Arc<dyn ProviderDirectory>,
        documents: Arc<dyn Documents>,
        table: Arc<CapabilityTable>,
    ) -> Self {
        Self {
            directory,
            documents,
            table,
            timeout: LISTING_TIMEOUT,
        }
    }

    /// Replaces the limit of one model listing.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Answers [`HostOp::ProviderCatalog`] and [`HostOp::ProviderModels`] with a list of texts.
    ///
    /// # Errors
    /// An exception for any other question.
    pub async fn answer(
        &self,
        scope: &TenantScope,
        call: &HostCall,
        cancel: &CancellationToken,
    ) -> Result<Value, Exception> {
        let text = |key: &str| call.args.get(key).and_then(ag_pyvalue::opt_str);
        match call.op {
            HostOp::ProviderCatalog => Ok(self.providers(scope, cancel).await.into()),
            HostOp::ProviderModels => {
                let provider = text("provider").unwrap_or_default();
                let route = text("capability_route");
                Ok(self
                    .models(scope, &provider, route.as_deref(), cancel)
                    .await
                    .into())
            }
            _ => Err(Exception::runtime("Not a question about providers")),
        }
    }

    /// Ids of the providers that calls of this plane could use (families, then stored connections), by name.
    pub async fn providers(&self, scope: &TenantScope, cancel: &CancellationToken) -> Vec<String> {
        let plane = plane_name(scope);
        let mut names: Vec<String> = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
        names.sort_unstable();
        names.extend(self.connections(scope, cancel).await);
        let mut usable = Vec::with_capacity(names.len());
        for name in names {
            if self.resolve(&plane, &name, cancel).await.is_ok() {
                usable.push(name);
            }
        }
        usable
    }

    async fn resolve(
        &self,
        plane: &str,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<ProviderClient, Failure> {
        let query = || async {
            let found = self.directory.resolve(ProviderQuery::new(plane, name)).await;
            Ok(found.map_err(ResolveError::Provider)?)
        };
        patiently(cancel, query).await
    }

    /// Candidates only: the directory decides which of them the plane may see.
    async fn connections(&self, scope: &TenantScope, cancel: &CancellationToken) -> Vec<String> {
        let mut ids = Vec::new();
        let root = (scope.plane != PlaneId::ROOT).then(TenantScope::root);
        for scope in std::iter::once(scope).chain(root.as_ref()) {
            let read = || async {
                let read = self.documents.documents(scope, DocumentKind::EndpointProfile);
                Ok(read.await?)
            };
            match patiently(cancel, read).await {
                Ok((_, documents)) => ids.extend(
                    documents
                        .into_iter()
                        .map(|document| format!("endpoint:{}", document.id)),
                ),
                Err(error) => tracing::warn!(%error, "stored connections are not readable"),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Model names of a provider, sorted. With `route` (`output.text`, `input.image`) only those that the table knows
    /// to have it; models the table does not know count as plain text models.
    pub async fn models(
        &self,
        scope: &TenantScope,
        provider: &str,
        route: Option<&str>,
        cancel: &CancellationToken,
    ) -> Vec<String> {
        let plane = plane_name(scope);
        let client = match self.resolve(&plane, provider, cancel).await {
            Ok(client) => client,
            Err(error) => {
                tracing::debug!(%error, "provider has no model list");
                return Vec::new();
            }
        };
        let allowed = &client.endpoint.allowed_models;
        let mut names = if allowed.is_empty() {
            let Some(catalogue) = &client.catalogue else {
                return Vec::new();
            };
            match tokio::time::timeout(self.timeout, catalogue.list_models(cancel.clone())).await {
                Ok(Ok(models)) => models.into_iter().map(|model| model.id).collect(),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "model listing failed");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            }
        } else {
            allowed.clone()
        };
        if let Some(route) = route {
            names.retain(|name| self.has_route(name, route));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn has_route(&self, model: &str, route: &str) -> bool {
        let (inputs, outputs) = self
            .table
            .lookup(model)
            .routes()
            .unwrap_or((vec!["text"], vec!["text"]));
        match route.split_once('.') {
            Some(("input", modality)) => inputs.contains(&modality),
            Some(("output", modality)) => outputs.contains(&modality),
            Some(("embedding", _)) => outputs.contains(&"embedding"),
            _ => true,
        }
    }
}
