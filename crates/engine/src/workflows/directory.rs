//! Workflows that runs name: which bundle an id leads to from where a run stands.

use std::sync::Arc;

use ag_bundles::{Manifest, select};
use ag_effects::{Failure, ResolvedWorkflow, WorkflowDirectory};
use ag_types::TenantScope;
use async_trait::async_trait;

use super::{AGENT_PREFIX, Found, PlaneRegistry, WorkflowError, Workflows};

fn unresolved(error: WorkflowError) -> Failure {
    match error {
        WorkflowError::Store(error) => error.into(),
        WorkflowError::Blob { .. } => Failure::Text(error.to_string()),
    }
}

#[async_trait]
impl WorkflowDirectory for Workflows {
    async fn resolve(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        from: Option<&str>,
    ) -> Result<Option<ResolvedWorkflow>, Failure> {
        let (sha256, deprecated) = self.locate(scope, workflow_id, from).await.map_err(unresolved)?;
        if let Some(text) = deprecated {
            return Err(Failure::Text(text));
        }
        let found = self
            .get(scope, workflow_id, sha256.as_deref())
            .await
            .map_err(unresolved)?;
        Ok(match found {
            Found::Workflow(workflow) => Some(ResolvedWorkflow {
                entry_node: workflow.entry_node().to_owned(),
                bundle_sha256: sha256.as_deref().map(Arc::from),
                unknown_types: workflow.unknown_types().iter().map(ToString::to_string).collect(),
            }),
            Found::Missing(_) => None,
        })
    }
}

impl Workflows {
    /// Bundle hash for a workflow id named by a run that executes `from`, and the text of its deprecation, if any.
    async fn locate(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        from: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), WorkflowError> {
        if workflow_id.starts_with(AGENT_PREFIX) || self.natives.contains_key(workflow_id) {
            return Ok((from.map(str::to_owned), None));
        }
        // Another node may have installed or deprecated what this one remembers otherwise.
        let registry = self.current(scope).await?;
        if let Some(from) = from {
            let loaded = self.bundle(scope, from).await?;
            let own = loaded.bundle.manifest().bundle_ref();
            let same = workflow_id
                .split_once(':')
                .is_some_and(|(reference, _)| reference == own);
            if same && loaded.locate(workflow_id).is_some() {
                return Ok((
                    Some(from.to_owned()),
                    self.entry_deprecation(&registry, loaded.bundle.manifest(), workflow_id),
                ));
            }
        }
        let Some(flow) = select::resolve_workflow_id(&registry.index, workflow_id) else {
            return Ok((None, None));
        };
        let Some(version) = registry
            .index
            .get(&flow.bundle.bundle_id, &flow.bundle.bundle_version)
        else {
            return Ok((None, None));
        };
        let text = self.entry_deprecation(&registry, &version.manifest, workflow_id);
        Ok((Some(version.sha256.clone()), text))
    }

    /// Deprecations block entry workflows only (bundles spec §9).
    fn entry_deprecation(
        &self,
        registry: &PlaneRegistry,
        manifest: &Manifest,
        workflow_id: &str,
    ) -> Option<String> {
        let (_, flow) = workflow_id.split_once(':')?;
        let is_entry = manifest.entrypoints.iter().any(|entry| entry.flow_id == flow);
        is_entry
            .then(|| registry.deprecation_text(&manifest.bundle_id, flow))
            .flatten()
    }
}
