//! Start and schedule: the flow to run.

use super::{ResolvedBundle, ResolvedFlow, SelectError, Target, entry_of, flow_of, version_of};
use crate::{
    index::{BundleIndex, is_catalog_id},
    reference::{BundleRef, WorkflowRef, filled},
    version,
};

/// The members of a start request that select the flow. Blank strings count as absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartRequest<'a> {
    /// `id` or `id@version`.
    pub bundle_id: Option<&'a str>,
    /// Must agree with every other place that names a version.
    pub bundle_version: Option<&'a str>,
    /// `flow`, `bundle[@version]:flow`, or a dynamic workflow's id.
    pub flow_id: Option<&'a str>,
    /// `run_lifecycle.purpose` is `draft_test`.
    pub draft_test: bool,
    /// The bundle id is the catalogue's own doing: internal ids and drafts are not refused.
    pub catalog: bool,
}

impl<'a> StartRequest<'a> {
    fn bundle(&self) -> Option<BundleRef<'a>> {
        self.bundle_id.and_then(filled).map(BundleRef::parse)
    }

    fn flow(&self) -> Option<&'a str> {
        self.flow_id.and_then(filled)
    }

    fn version(&self) -> Option<&'a str> {
        self.bundle_version.and_then(filled)
    }
}

/// The check a start makes before it looks at what is loaded.
///
/// # Errors
/// [`SelectError::NothingToStart`].
pub fn require_target(request: &StartRequest<'_>) -> Result<(), SelectError> {
    if request.flow().is_none() && request.bundle().is_none() {
        return Err(SelectError::NothingToStart);
    }
    Ok(())
}

/// Resolves a start request. Any flow of a bundle can be started, not only entrypoints.
///
/// # Errors
/// [`SelectError`]; show it as [`SelectError::start_detail`].
pub fn select_start(index: &BundleIndex, request: &StartRequest<'_>) -> Result<Target, SelectError> {
    let bundle = request.bundle();
    let flow = request.flow();
    let namespaced = flow.and_then(WorkflowRef::parse);
    refuse_catalog(request, bundle, namespaced)?;

    let in_bundle_id = bundle.and_then(|bundle| bundle.version);
    let named_version = agree(in_bundle_id, request.version(), SelectError::VersionConflict)?;
    let loaded = namespaced.filter(|flow| index.contains(flow.bundle.bundle_id));
    let (bundle_id, named_version, flow_id) = match (loaded, flow) {
        (Some(reference), _) => {
            if bundle.is_some_and(|bundle| bundle.bundle_id != reference.bundle.bundle_id) {
                return Err(SelectError::FlowBundleMismatch);
            }
            let version = agree(
                reference.bundle.version,
                named_version,
                SelectError::FlowVersionMismatch,
            )?;
            (reference.bundle.bundle_id, version, Some(reference.flow_id))
        }
        // A colon without a bundle before it is taken literally too: dynamic ids look like that.
        (None, Some(flow)) if flow.contains(':') => {
            if bundle.is_some() || named_version.is_some() {
                return Err(SelectError::AlreadyNamespaced(flow.to_owned()));
            }
            return Ok(Target::Dynamic(flow.to_owned()));
        }
        (None, flow) => {
            let missing = if flow.is_some() {
                SelectError::BundleIdRequired
            } else {
                SelectError::FlowIdRequired
            };
            let bundle_id = match bundle {
                Some(bundle) => bundle.bundle_id,
                None => index.default_bundle().ok_or(missing)?,
            };
            (bundle_id, named_version, flow)
        }
    };
    if named_version.is_some_and(version::is_draft) {
        refuse_draft(request)?;
    }
    let bundle = version_of(index, bundle_id, named_version)?;
    if bundle.is_draft() {
        refuse_draft(request)?;
    }
    let flow_id = match flow_id {
        Some(flow_id) => flow_id.to_owned(),
        None => entrypoint(index, &bundle)?,
    };
    flow_of(index, &bundle, &flow_id)
        .map(Target::Flow)
        .ok_or_else(|| SelectError::WorkflowNotFound(ResolvedFlow { bundle, flow_id }.workflow_id()))
}

/// Resolves the target of a schedule, which must name bundle and flow.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_schedule(index: &BundleIndex, request: &StartRequest<'_>) -> Result<ResolvedFlow, SelectError> {
    if request.flow().is_none() || request.bundle().is_none() {
        return Err(SelectError::ScheduleTarget);
    }
    // A schedule has no lifecycle to declare a draft test in; its children are started by the gateway.
    match select_start(
        index,
        &StartRequest {
            draft_test: true,
            ..*request
        },
    ) {
        Ok(Target::Flow(flow)) => Ok(flow),
        Ok(Target::Dynamic(id)) | Err(SelectError::WorkflowNotFound(id)) => {
            Err(SelectError::TargetNotFound(id))
        }
        Err(error) => Err(error),
    }
}

fn refuse_catalog(
    request: &StartRequest<'_>,
    bundle: Option<BundleRef<'_>>,
    flow: Option<WorkflowRef<'_>>,
) -> Result<(), SelectError> {
    let named = [
        bundle.map(|bundle| bundle.bundle_id),
        flow.map(|flow| flow.bundle.bundle_id),
    ];
    if !request.catalog && named.into_iter().flatten().any(is_catalog_id) {
        return Err(SelectError::CatalogStart);
    }
    Ok(())
}

fn refuse_draft(request: &StartRequest<'_>) -> Result<(), SelectError> {
    if request.draft_test || request.catalog {
        Ok(())
    } else {
        Err(SelectError::DraftPurpose)
    }
}

/// The one value two optional places name.
fn agree<'a>(
    left: Option<&'a str>,
    right: Option<&'a str>,
    conflict: SelectError,
) -> Result<Option<&'a str>, SelectError> {
    match (left, right) {
        (Some(left), Some(right)) if left != right => Err(conflict),
        _ => Ok(left.or(right)),
    }
}

/// The entrypoint meant when no flow is named.
fn entrypoint(index: &BundleIndex, bundle: &ResolvedBundle) -> Result<String, SelectError> {
    let manifest = &entry_of(index, bundle)
        .ok_or_else(|| SelectError::BundleNotFound(bundle.bundle_ref()))?
        .manifest;
    match (manifest.entrypoints.as_slice(), &manifest.default_entrypoint) {
        ([only], _) => Ok(only.flow_id.clone()),
        (_, Some(default)) => Ok(default.clone()),
        (several, None) => Err(SelectError::EntrypointRequired {
            bundle_ref: bundle.bundle_ref(),
            count: several.len(),
        }),
    }
}
