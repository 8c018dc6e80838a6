//! Providers and models as nodes list them. What cannot be reached is left out: a listing never fails
//! a run. While the store is away there is no list, and the question is asked again.

use std::sync::Arc;
use std::time::Duration;

use ag_kernel::{Exception, HostCall, HostOp};
use ag_providers::{CapabilityTable, FAMILIES, ProviderClient, ProviderDirectory, ProviderQuery};
use ag_store::{DocumentKind, Documents, StoreError};
use ag_types::{PlaneId, TenantScope};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::resolver::{ResolveError, plane_name};
use crate::{handler::Failure, host::HostFailure};

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
    /// An exception for any other question; [`HostFailure::Postponed`] while the store is away.
    pub async fn answer(
        &self,
        scope: &TenantScope,
        call: &HostCall,
        cancel: &CancellationToken,
    ) -> Result<Value, HostFailure> {
        let text = |key: &str| call.args.get(key).and_then(ag_pyvalue::opt_str);
        match call.op {
            HostOp::ProviderCatalog => {
                let providers = self.providers(scope).await;
                Ok(providers.map_err(HostFailure::Postponed)?.into())
            }
            HostOp::ProviderModels => {
                let provider = text("provider").unwrap_or_default();
                let route = text("capability_route");
                let models = self.models(scope, &provider, route.as_deref(), cancel).await;
                Ok(models.map_err(HostFailure::Postponed)?.into())
            }
            _ => Err(Exception::runtime("Not a question about providers").into()),
        }
    }

    /// Ids of the providers that calls of this plane could use (families, then stored connections), by name.
    ///
    /// # Errors
    /// An outage of the store that passes by itself.
    pub async fn providers(&self, scope: &TenantScope) -> Result<Vec<String>, StoreError> {
        let plane = plane_name(scope);
        let mut names: Vec<String> = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
        names.sort_unstable();
        names.extend(self.connections(scope).await?);
        let mut usable = Vec::with_capacity(names.len());
        for name in names {
            if self.resolve(&plane, &name).await?.is_some() {
                usable.push(name);
            }
        }
        Ok(usable)
    }

    /// `None`: nothing of this name can be used.
    async fn resolve(&self, plane: &str, name: &str) -> Result<Option<ProviderClient>, StoreError> {
        let found = self.directory.resolve(ProviderQuery::new(plane, name)).await;
        match found.map_err(|error| Failure::from(ResolveError::Provider(error)).outage()) {
            Ok(client) => Ok(Some(client)),
            Err(Ok(away)) => Err(away),
            Err(Err(reason)) => {
                tracing::debug!(provider = name, reason, "not a provider that can be used");
                Ok(None)
            }
        }
    }

    /// Candidates only: the directory decides which of them the plane may see.
    async fn connections(&self, scope: &TenantScope) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        let root = (scope.plane != PlaneId::ROOT).then(TenantScope::root);
        for scope in std::iter::once(scope).chain(root.as_ref()) {
            let read = self
                .documents
                .documents(scope, DocumentKind::EndpointProfile)
                .await;
            match read.map_err(|error| Failure::from(error).outage()) {
                Ok((_, documents)) => ids.extend(
                    documents
                        .into_iter()
                        .map(|document| format!("endpoint:{}", document.id)),
                ),
                Err(Ok(away)) => return Err(away),
                Err(Err(error)) => tracing::warn!(error, "stored connections are not readable"),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Model names of a provider, sorted. With `route` (`output.text`, `input.image`) only those that the table knows
    /// to have it; models the table does not know count as plain text models.
    ///
    /// # Errors
    /// An outage of the store that passes by itself.
    pub async fn models(
        &self,
        scope: &TenantScope,
        provider: &str,
        route: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, StoreError> {
        let plane = plane_name(scope);
        let Some(client) = self.resolve(&plane, provider).await? else {
            return Ok(Vec::new());
        };
        let allowed = &client.endpoint.allowed_models;
        let mut names = if allowed.is_empty() {
            let Some(catalogue) = &client.catalogue else {
                return Ok(Vec::new());
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
        Ok(names)
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
