//! Which flow a request means.
//!
//! Pure functions over a [`BundleIndex`]. Each returns a resolved reference or a [`SelectError`] that
//! carries the contract's text and status.

mod error;
mod inspect;
mod names;
mod start;
#[cfg(test)]
mod tests;

pub use error::SelectError;
pub use inspect::{
    Removal, select_bundle, select_deprecation, select_flow, select_inspection, select_removal,
};
pub use names::select_by_name;
pub use start::{StartRequest, require_target, select_schedule, select_start};

use crate::{
    index::{BundleIndex, IndexedVersion},
    namespace,
    reference::WorkflowRef,
    version,
};

/// A loaded bundle version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedBundle {
    /// Id under which it is loaded.
    pub bundle_id: String,
    /// Always concrete.
    pub bundle_version: String,
}

impl ResolvedBundle {
    /// `id@version`.
    #[must_use]
    pub fn bundle_ref(&self) -> String {
        format!("{}@{}", self.bundle_id, self.bundle_version)
    }

    /// True for a draft version.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        version::is_draft(&self.bundle_version)
    }
}

/// A flow of a loaded bundle version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedFlow {
    /// The bundle.
    pub bundle: ResolvedBundle,
    /// Key in its manifest's flows.
    pub flow_id: String,
}

impl ResolvedFlow {
    /// `id@version:flow`, the id a run stores.
    #[must_use]
    pub fn workflow_id(&self) -> String {
        namespace::workflow_id(&self.bundle.bundle_ref(), &self.flow_id)
    }
}

/// What a start or an inspection is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A flow of a bundle.
    Flow(ResolvedFlow),
    /// An id that names no loaded bundle: a dynamic workflow, if the caller knows one of that id, else
    /// [`SelectError::WorkflowNotFound`].
    Dynamic(String),
}

/// Resolves an id that a run or a subflow node carries: `bundle@version:flow`, or the older
/// `bundle:flow`, which means the latest version.
#[must_use]
pub fn resolve_workflow_id(index: &BundleIndex, workflow_id: &str) -> Option<ResolvedFlow> {
    let reference = WorkflowRef::parse(workflow_id)?;
    let bundle = version_of(index, reference.bundle.bundle_id, reference.bundle.version).ok()?;
    flow_of(index, &bundle, reference.flow_id)
}

/// The named version, or the latest.
fn version_of(
    index: &BundleIndex,
    bundle_id: &str,
    bundle_version: Option<&str>,
) -> Result<ResolvedBundle, SelectError> {
    if !index.contains(bundle_id) {
        return Err(SelectError::BundleNotFound(bundle_id.to_owned()));
    }
    let found = match bundle_version {
        Some(version) => index
            .get(bundle_id, version)
            .ok_or_else(|| SelectError::BundleNotFound(format!("{bundle_id}@{version}")))?,
        None => index
            .latest(bundle_id)
            .ok_or_else(|| SelectError::NoVersions(bundle_id.to_owned()))?,
    };
    Ok(ResolvedBundle {
        bundle_id: bundle_id.to_owned(),
        bundle_version: found.manifest.bundle_version.clone(),
    })
}

fn flow_of(index: &BundleIndex, bundle: &ResolvedBundle, flow_id: &str) -> Option<ResolvedFlow> {
    entry_of(index, bundle)?
        .manifest
        .flows
        .contains_key(flow_id)
        .then(|| ResolvedFlow {
            bundle: bundle.clone(),
            flow_id: flow_id.to_owned(),
        })
}

fn entry_of<'a>(index: &'a BundleIndex, bundle: &ResolvedBundle) -> Option<&'a IndexedVersion> {
    index.get(&bundle.bundle_id, &bundle.bundle_version)
}
