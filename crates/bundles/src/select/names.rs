//! References that people type: `bundle[@version][:flow]`, or an entrypoint's display name.

use super::{ResolvedFlow, SelectError, entry_of, flow_of, version_of};
use crate::{
    index::BundleIndex,
    reference::{BundleRef, WorkflowRef},
    select::Target,
    select::start::{StartRequest, select_start},
};

/// Resolves a typed reference. A bundle id comes first; else an entrypoint name or flow id of some
/// bundle's latest version, in any case, provided that only one bundle has it.
///
/// # Errors
/// [`SelectError`], shown as it is.
pub fn select_by_name(index: &BundleIndex, reference: &str) -> Result<ResolvedFlow, SelectError> {
    let reference = reference.trim();
    let (bundle, flow) = match WorkflowRef::parse(reference) {
        Some(parsed) => (
            parsed.bundle,
            Some(parsed.flow_id).filter(|flow| !flow.is_empty()),
        ),
        None => (BundleRef::parse(reference), None),
    };
    if index.contains(bundle.bundle_id) {
        let resolved = version_of(index, bundle.bundle_id, bundle.version)?;
        let Some(flow) = flow else {
            let bundle_ref = resolved.bundle_ref();
            // The caller chose this version; whether a draft may run is the start's question.
            let request = StartRequest {
                bundle_id: Some(&bundle_ref),
                draft_test: true,
                ..StartRequest::default()
            };
            return match select_start(index, &request)? {
                Target::Flow(flow) => Ok(flow),
                Target::Dynamic(id) => Err(SelectError::WorkflowNotFound(id)),
            };
        };
        let exact = flow_of(index, &resolved, flow);
        let named = || {
            let entrypoints = &entry_of(index, &resolved)?.manifest.entrypoints;
            let found = entrypoints
                .iter()
                .find(|entrypoint| same(entrypoint.display_name(), flow))?;
            flow_of(index, &resolved, &found.flow_id)
        };
        return exact.or_else(named).ok_or_else(|| SelectError::FlowNotFound {
            flow_id: flow.to_owned(),
            bundle_ref: resolved.bundle_ref(),
        });
    }

    let mut found = Vec::new();
    for bundle_id in index.private_ids() {
        let Ok(resolved) = version_of(index, bundle_id, None) else {
            continue;
        };
        let entrypoints = entry_of(index, &resolved).map_or(&[][..], |entry| &entry.manifest.entrypoints);
        let hit = entrypoints.iter().find(|entrypoint| {
            same(entrypoint.display_name(), reference) || same(&entrypoint.flow_id, reference)
        });
        found.extend(hit.and_then(|entrypoint| flow_of(index, &resolved, &entrypoint.flow_id)));
    }
    match found.as_slice() {
        [] => Err(SelectError::BundleNotFound(reference.to_owned())),
        [only] => Ok(only.clone()),
        several => Err(SelectError::AmbiguousName {
            name: reference.to_owned(),
            candidates: several
                .iter()
                .map(|flow| flow.bundle.bundle_ref())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

fn same(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.to_lowercase()
}
