//! Which flow a request means.

use std::sync::Arc;

use ag_bundles::{SelectError, StartRequest as BundleRequest, Target, select};
use ag_store::DocumentKind;
use ag_types::TenantScope;
use serde_json::Value;

use super::{StartError, StartRequest, Starter};
use crate::{lifecycle, workflows::PlaneRegistry};

/// The flow that a request means, in the registry it was found in.
pub(super) struct Resolved {
    pub(super) workflow_id: String,
    pub(super) sha256: Option<Arc<str>>,
    pub(super) pool: Arc<str>,
    pub(super) registry: Option<Arc<PlaneRegistry>>,
}

impl Starter {
    pub(super) async fn resolve(
        &self,
        scope: &TenantScope,
        request: &StartRequest,
        refresh: bool,
    ) -> Result<Resolved, StartError> {
        let asked = BundleRequest {
            bundle_id: request.bundle_id.as_deref(),
            bundle_version: request.bundle_version.as_deref(),
            flow_id: request.flow_id.as_deref(),
            draft_test: lifecycle::of_vars(&request.vars)
                .as_ref()
                .is_some_and(lifecycle::is_draft),
            ..BundleRequest::default()
        };
        select::require_target(&asked)?;
        let workflows = &self.deps.workflows;
        if refresh {
            return self
                .resolve_in(scope, request, &asked, workflows.reload(scope).await?)
                .await;
        }
        let remembered = workflows.registry(scope).await?;
        match self.resolve_in(scope, request, &asked, remembered.clone()).await {
            // What this node remembers may have been changed on another one (installed, deprecated no longer), so a
            // refusal must hold for what is stored now. A success is compared when it is committed.
            Err(error) if !matches!(error, StartError::Store(_)) => {
                let current = workflows.current(scope).await?;
                match Arc::ptr_eq(&current, &remembered) {
                    true => Err(error),
                    false => self.resolve_in(scope, request, &asked, current).await,
                }
            }
            resolved => resolved,
        }
    }

    async fn resolve_in(
        &self,
        scope: &TenantScope,
        request: &StartRequest,
        asked: &BundleRequest<'_>,
        registry: Arc<PlaneRegistry>,
    ) -> Result<Resolved, StartError> {
        match select::select_start(&registry.index, asked)? {
            Target::Flow(flow) => self.resolved_flow(request, registry, &flow),
            Target::Dynamic(id) => {
                let known = self
                    .deps
                    .store
                    .document(scope, DocumentKind::DynamicFlow, &id)
                    .await?
                    .is_some();
                if !known {
                    return Err(SelectError::WorkflowNotFound(id).into());
                }
                Ok(Resolved {
                    workflow_id: id,
                    sha256: None,
                    pool: self.pool(request.pool.as_deref()),
                    registry: None,
                })
            }
        }
    }

    fn resolved_flow(
        &self,
        request: &StartRequest,
        registry: Arc<PlaneRegistry>,
        flow: &ag_bundles::ResolvedFlow,
    ) -> Result<Resolved, StartError> {
        let purpose = request.vars.get("_run_lifecycle").and_then(lifecycle::sanitise);
        if flow.bundle.is_draft() && !purpose.as_ref().is_some_and(lifecycle::is_draft) {
            return Err(StartError::DraftNeedsPurpose);
        }
        if let Some(text) = registry.deprecation_text(&flow.bundle.bundle_id, &flow.flow_id) {
            return Err(StartError::Deprecated(text));
        }
        let version = registry
            .index
            .get(&flow.bundle.bundle_id, &flow.bundle.bundle_version)
            .ok_or_else(|| SelectError::WorkflowNotFound(flow.workflow_id()))?;
        let pool = self.pool(version.manifest.metadata.get("pool").and_then(Value::as_str));
        let sha256 = Some(Arc::from(version.sha256.as_str()));
        Ok(Resolved {
            workflow_id: flow.workflow_id(),
            sha256,
            pool,
            registry: Some(registry),
        })
    }
}
