//! JSON shapes of the bundle operations. Key orders are the recorded ones.

use serde_json::{Value, json};

use crate::{
    bundle::Bundle,
    flow::{self, Object},
    index::{BundleIndex, IndexedVersion},
    input_schema,
    manifest::{Entrypoint, Manifest},
    namespace,
};

/// An active deprecation of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// ISO time.
    pub deprecated_at: String,
    /// Free text.
    pub reason: Option<String>,
}

/// Looks up the deprecation of (bundle id, flow id). A record for the flow wins over the bundle's `*`;
/// that choice is the caller's, who holds the records.
pub type Deprecations<'a> = &'a dyn Fn(&str, &str) -> Option<Deprecation>;

/// Query of `GET /bundles`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListOptions {
    /// One item per version instead of per bundle.
    pub all_versions: bool,
    /// Also versions that start with `draft.`.
    pub include_drafts: bool,
    /// Also deprecated entrypoints.
    pub include_deprecated: bool,
}

/// The answer of `GET /bundles`.
#[must_use]
pub fn bundles(index: &BundleIndex, options: ListOptions, deprecations: Deprecations<'_>) -> Value {
    let mut items = Vec::new();
    let mut shown = false;
    let default = index.default_bundle();
    for bundle_id in index.private_ids() {
        let versions: Vec<&IndexedVersion> = if options.all_versions {
            let wanted = |entry: &&IndexedVersion| options.include_drafts || !entry.manifest.is_draft();
            index.versions(bundle_id).iter().filter(wanted).collect()
        } else {
            let published = index.latest_published(bundle_id);
            let any = || {
                options
                    .include_drafts
                    .then(|| index.latest_any(bundle_id))
                    .flatten()
            };
            published.or_else(any).into_iter().collect()
        };
        for entry in versions {
            if let Some(item) = item(index, bundle_id, &entry.manifest, options, deprecations) {
                shown |= default == Some(bundle_id);
                items.push(item);
            }
        }
    }
    json!({"items": items, "default_bundle_id": default.filter(|_| shown)})
}

fn item(
    index: &BundleIndex,
    bundle_id: &str,
    manifest: &Manifest,
    options: ListOptions,
    deprecations: Deprecations<'_>,
) -> Option<Value> {
    let bundle_ref = format!("{bundle_id}@{}", manifest.bundle_version);
    let entrypoints: Vec<Value> = manifest
        .entrypoints
        .iter()
        .filter_map(|entrypoint| {
            let deprecation = deprecations(bundle_id, &entrypoint.flow_id);
            (options.include_deprecated || deprecation.is_none()).then(|| {
                let mut out = entrypoint_summary(entrypoint);
                out.insert(
                    "workflow_id".into(),
                    json!(namespace::workflow_id(&bundle_ref, &entrypoint.flow_id)),
                );
                add_deprecation(&mut out, deprecation);
                Value::Object(out)
            })
        })
        .collect();
    if entrypoints.is_empty() {
        return None;
    }
    let is_draft = manifest.is_draft();
    let version =
        |entry: Option<&IndexedVersion>| json!(entry.map(|entry| entry.manifest.bundle_version.clone()));
    Some(json!({
        "bundle_id": bundle_id,
        "bundle_version": manifest.bundle_version,
        "bundle_ref": bundle_ref,
        "registry_scope": "private",
        "version_channel": if is_draft { "draft" } else { "published" },
        "is_draft": is_draft,
        "is_published": !is_draft,
        "latest_published_version": version(index.latest_published(bundle_id)),
        "latest_any_version": version(index.latest_any(bundle_id)),
        "created_at": manifest.created_at,
        "metadata": manifest.metadata,
        "default_entrypoint": manifest.default_entrypoint,
        "entrypoints": entrypoints,
        "actions": {
            "can_run": true,
            "can_upload": true,
            "can_remove": true,
            "can_deprecate": true,
            "catalog_promote_endpoint": "/api/gateway/admin/workflow-catalog/promote",
        },
    }))
}

/// `{flow_id, name, description, interfaces}`, the form in the answer of an upload.
#[must_use]
pub fn entrypoint_summary(entrypoint: &Entrypoint) -> Object {
    let mut out = Object::new();
    out.insert("flow_id".into(), json!(entrypoint.flow_id));
    out.insert("name".into(), json!(entrypoint.display_name()));
    out.insert("description".into(), json!(entrypoint.description));
    out.insert("interfaces".into(), json!(entrypoint.interfaces));
    out
}

fn add_deprecation(out: &mut Object, deprecation: Option<Deprecation>) {
    out.insert("deprecated".into(), json!(deprecation.is_some()));
    let (at, reason) = deprecation.map_or((None, None), |found| (Some(found.deprecated_at), found.reason));
    out.insert("deprecated_at".into(), json!(at));
    out.insert("deprecated_reason".into(), json!(reason));
}

/// The answer of `POST /bundles/upload`, given how the reload went.
#[must_use]
pub fn upload(manifest: &Manifest, sha256: &str, reload_error: Option<&str>, reloaded: bool) -> Value {
    let entrypoints: Vec<Object> = manifest.entrypoints.iter().map(entrypoint_summary).collect();
    json!({
        "ok": true,
        "bundle_id": manifest.bundle_id,
        "bundle_version": manifest.bundle_version,
        "bundle_ref": manifest.bundle_ref(),
        "sha256": sha256,
        "default_entrypoint": manifest.default_entrypoint,
        "entrypoints": entrypoints,
        "gateway_reloaded": reloaded,
        "gateway_reload_error": reload_error,
    })
}

/// The answer of `GET /bundles/{bundle_id}`. Entrypoints whose flow is missing have no inputs.
#[must_use]
pub fn bundle(bundle: &Bundle, deprecations: Deprecations<'_>) -> Value {
    let manifest = bundle.manifest();
    let bundle_ref = manifest.bundle_ref();
    let entrypoints: Vec<Object> = manifest
        .entrypoints
        .iter()
        .map(|entrypoint| {
            let flow_id = &entrypoint.flow_id;
            let document = bundle.flow(flow_id);
            let inputs: Vec<Object> = document
                .map(|document| {
                    input_schema::inputs(document)
                        .iter()
                        .map(input_schema::Input::summary)
                        .collect()
                })
                .unwrap_or_default();
            let mut out = Object::new();
            out.insert("flow_id".into(), json!(flow_id));
            out.insert(
                "workflow_id".into(),
                json!(namespace::workflow_id(&bundle_ref, flow_id)),
            );
            out.insert("name".into(), json!(entrypoint.display_name()));
            out.insert("description".into(), json!(entrypoint.description));
            out.insert("interfaces".into(), json!(entrypoint.interfaces));
            out.insert("inputs".into(), json!(inputs));
            out.insert(
                "node_index".into(),
                Value::Object(document.map(|document| node_index(document)).unwrap_or_default()),
            );
            add_deprecation(&mut out, deprecations(&manifest.bundle_id, flow_id));
            out
        })
        .collect();
    let mut flows: Vec<&str> = bundle.flows().keys().map(String::as_str).collect();
    flows.sort_unstable();
    json!({
        "bundle_id": manifest.bundle_id,
        "bundle_version": manifest.bundle_version,
        "bundle_ref": bundle_ref,
        "created_at": manifest.created_at,
        "default_entrypoint": manifest.default_entrypoint,
        "entrypoints": entrypoints,
        "flows": flows,
        "metadata": manifest.metadata,
    })
}

/// `{node_id: {type, label, headerColor?}}` of a document.
#[must_use]
pub fn node_index(document: &Object) -> Object {
    let mut index = Object::new();
    for node in flow::nodes(document) {
        let Some(id) = flow::node_id(node) else { continue };
        let node_type = flow::node_type(node).unwrap_or_default();
        let own = |key| flow::data(node).and_then(|data| flow::text(data, key));
        let label = own("label").unwrap_or(if node_type.is_empty() { id } else { &node_type });
        let mut entry = Object::new();
        entry.insert("type".into(), json!(node_type));
        entry.insert("label".into(), json!(label));
        if let Some(color) = own("headerColor") {
            entry.insert("headerColor".into(), json!(color));
        }
        index.insert(id.to_owned(), Value::Object(entry));
    }
    index
}

/// The identity keys that the flow and `input_schema` answers begin with.
#[must_use]
pub fn flow_identity(bundle_id: &str, bundle_version: &str, flow_id: &str) -> Object {
    let bundle_ref = format!("{bundle_id}@{bundle_version}");
    let workflow_id = namespace::workflow_id(&bundle_ref, flow_id);
    let mut out = Object::new();
    out.insert("bundle_id".into(), json!(bundle_id));
    out.insert("bundle_version".into(), json!(bundle_version));
    out.insert("bundle_ref".into(), json!(bundle_ref));
    out.insert("flow_id".into(), json!(flow_id));
    out.insert("workflow_id".into(), json!(workflow_id));
    out
}

#[cfg(test)]
mod tests;
