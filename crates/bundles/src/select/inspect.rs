//! Bundle operations: the bundle or flow to show, remove or deprecate.

use super::{ResolvedBundle, ResolvedFlow, SelectError, Target, flow_of, version_of};
use crate::{
    index::{BundleIndex, is_catalog_id},
    reference::{BundleRef, WorkflowRef, filled},
};

/// `GET /bundles/{bundle_id}`.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_bundle(
    index: &BundleIndex,
    bundle_id: &str,
    bundle_version: Option<&str>,
) -> Result<ResolvedBundle, SelectError> {
    let bundle = BundleRef::parse(bundle_id);
    if is_catalog_id(bundle.bundle_id) {
        return Err(SelectError::CatalogBundle);
    }
    let asked = bundle_version.and_then(filled);
    if bundle.version.is_some() && asked.is_some() && bundle.version != asked {
        return Err(SelectError::VersionConflict);
    }
    version_of(index, bundle.bundle_id, bundle.version.or(asked))
}

/// `GET /bundles/{bundle_id}/flows/{flow_id}` and its `input_schema`.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_flow(
    index: &BundleIndex,
    bundle_id: &str,
    bundle_version: Option<&str>,
    flow_id: &str,
) -> Result<ResolvedFlow, SelectError> {
    let bundle = BundleRef::parse(bundle_id);
    let asked = bundle_version.and_then(filled);
    let mut in_flow_id = None;
    let mut plain = flow_id.trim();
    if plain.contains(':') {
        let reference = WorkflowRef::parse(plain).ok_or(SelectError::InvalidFlowId)?;
        if is_catalog_id(reference.bundle.bundle_id) {
            return Err(SelectError::CatalogBundle);
        }
        if reference.bundle.bundle_id != bundle.bundle_id {
            return Err(SelectError::FlowBundleMismatch);
        }
        let version = reference.bundle.version;
        if version.is_some() && bundle.version.is_some() && version != bundle.version {
            return Err(SelectError::FlowBundleVersionMismatch);
        }
        if version.is_some() && asked.is_some() && version != asked {
            return Err(SelectError::FlowVersionMismatch);
        }
        in_flow_id = version;
        plain = reference.flow_id;
    }
    if plain.is_empty() {
        return Err(SelectError::InvalidFlowId);
    }
    let resolved = match bundle.version {
        None => select_bundle(index, bundle_id, asked.or(in_flow_id))?,
        Some(_) => select_bundle(index, bundle_id, asked)?,
    };
    flow_of(index, &resolved, plain).ok_or_else(|| SelectError::FlowNotFound {
        flow_id: plain.to_owned(),
        bundle_ref: resolved.bundle_ref(),
    })
}

/// `GET /workflows/{workflow_id}/flow`.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_inspection(index: &BundleIndex, workflow_id: &str) -> Result<Target, SelectError> {
    let not_found = || SelectError::WorkflowNotFound(workflow_id.to_owned());
    let id = filled(workflow_id).ok_or_else(not_found)?;
    let Some(reference) = WorkflowRef::parse(id) else {
        return Ok(Target::Dynamic(id.to_owned()));
    };
    if is_catalog_id(reference.bundle.bundle_id) {
        return Err(SelectError::CatalogWorkflow);
    }
    // `scheduled:<uuid>` has the shape of a bundle reference; only a version makes it certain.
    if !index.contains(reference.bundle.bundle_id) && reference.bundle.version.is_none() {
        return Ok(Target::Dynamic(id.to_owned()));
    }
    select_flow(
        index,
        reference.bundle.bundle_id,
        reference.bundle.version,
        reference.flow_id,
    )
    .map(Target::Flow)
}

/// What `DELETE /bundles/{bundle_id}` removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Bare id.
    pub bundle_id: String,
    /// One version, or all.
    pub bundle_version: Option<String>,
}

impl Removal {
    /// `bundle_ref` of the answer: with version where one was named.
    #[must_use]
    pub fn bundle_ref(&self) -> String {
        match &self.bundle_version {
            Some(version) => format!("{}@{version}", self.bundle_id),
            None => self.bundle_id.clone(),
        }
    }
}

/// `DELETE /bundles/{bundle_id}`.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_removal(
    index: &BundleIndex,
    bundle_id: &str,
    bundle_version: Option<&str>,
) -> Result<Removal, SelectError> {
    let bundle = BundleRef::parse(bundle_id);
    if is_catalog_id(bundle.bundle_id) {
        return Err(SelectError::CatalogBundle);
    }
    let asked = bundle_version.and_then(filled);
    if bundle.version.is_some() && asked.is_some() && bundle.version != asked {
        return Err(SelectError::RemovalVersionConflict);
    }
    let version = bundle.version.or(asked);
    let removal = Removal {
        bundle_id: bundle.bundle_id.to_owned(),
        bundle_version: version.map(str::to_owned),
    };
    let known = match version {
        Some(version) => index.get(bundle.bundle_id, version).is_some(),
        None => index.contains(bundle.bundle_id),
    };
    if known {
        Ok(removal)
    } else {
        Err(SelectError::BundleNotFound(removal.bundle_ref()))
    }
}

/// `POST /bundles/{bundle_id}/deprecate`: checks the bare id and, where given, the flow against the
/// entrypoints of the latest version. Returns the record's key: the flow id, or `*`.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_deprecation(
    index: &BundleIndex,
    bundle_id: &str,
    flow_id: Option<&str>,
) -> Result<String, SelectError> {
    let bundle_id = bundle_id.trim();
    if is_catalog_id(bundle_id) {
        return Err(SelectError::CatalogBundle);
    }
    let latest = index
        .latest(bundle_id)
        .ok_or_else(|| SelectError::BundleNotFound(bundle_id.to_owned()))?;
    match flow_id.and_then(filled) {
        None => Ok("*".to_owned()),
        Some(flow_id) if latest.manifest.entrypoint(flow_id).is_some() => Ok(flow_id.to_owned()),
        Some(flow_id) => Err(SelectError::EntrypointNotFound {
            bundle_id: bundle_id.to_owned(),
            flow_id: flow_id.to_owned(),
        }),
    }
}
