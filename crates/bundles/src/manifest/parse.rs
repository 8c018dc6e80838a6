//! From JSON to [`Manifest`].

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::{DEFAULT_VERSION, Entrypoint, FORMAT_VERSION, Manifest, ManifestError};
use crate::flow::Object;

pub(super) fn manifest(value: &Value) -> Result<Manifest, ManifestError> {
    let raw = value.as_object().ok_or(ManifestError::NotAnObject)?;

    let bundle_format_version =
        member(raw, &["bundle_format_version", "bundleFormatVersion"]).map_or(FORMAT_VERSION.into(), shown);
    if bundle_format_version != FORMAT_VERSION {
        return Err(ManifestError::Format(bundle_format_version));
    }
    let bundle_id = member(raw, &["bundle_id", "bundleId"])
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .ok_or(ManifestError::BundleId)?;
    let bundle_version = match member(raw, &["bundle_version", "bundleVersion"]) {
        None => DEFAULT_VERSION,
        Some(version) => version
            .as_str()
            .map(str::trim)
            .filter(|version| !version.is_empty())
            .ok_or(ManifestError::BundleVersion)?,
    };
    let entrypoints = entrypoints(raw.get("entrypoints"))?;
    let default_entrypoint = member(
        raw,
        &[
            "default_entrypoint",
            "defaultEntrypoint",
            "default_entrypoint_flow_id",
            "defaultEntrypointFlowId",
        ],
    )
    .map(shown)
    .map(|id| id.trim().to_owned())
    .filter(|id| !id.is_empty());
    if let Some(id) = &default_entrypoint
        && !entrypoints.iter().any(|entrypoint| entrypoint.flow_id == *id)
    {
        return Err(ManifestError::DefaultEntrypoint(id.clone()));
    }

    Ok(Manifest {
        bundle_format_version,
        bundle_id: bundle_id.to_owned(),
        bundle_version: bundle_version.to_owned(),
        created_at: member(raw, &["created_at", "createdAt"])
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        flows: paths("flows", raw.get("flows").filter(|map| map.is_object()))?,
        artifacts: paths("artifacts", raw.get("artifacts"))?,
        assets: paths("assets", raw.get("assets").filter(|map| map.is_object()))?,
        metadata: raw
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        entrypoints,
        default_entrypoint,
    })
}

/// The first of several spellings that is present and not null.
fn member<'a>(raw: &'a Object, keys: &[&str]) -> Option<&'a Value> {
    keys.iter()
        .find_map(|key| raw.get(*key).filter(|value| !value.is_null()))
}

/// A scalar as an author would read it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn entrypoints(list: Option<&Value>) -> Result<Vec<Entrypoint>, ManifestError> {
    let list = list
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .ok_or(ManifestError::NoEntrypoints)?;
    let mut seen = HashSet::with_capacity(list.len());
    let mut found = Vec::with_capacity(list.len());
    for item in list {
        let item = item.as_object().ok_or(ManifestError::EntrypointFlowId)?;
        let flow_id = member(item, &["flow_id", "flowId"])
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .ok_or(ManifestError::EntrypointFlowId)?;
        if !seen.insert(flow_id) {
            return Err(ManifestError::DuplicateEntrypoint(flow_id.to_owned()));
        }
        let description = match item.get("description") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(description)) => description.clone(),
            Some(_) => return Err(ManifestError::Description(flow_id.to_owned())),
        };
        let interfaces = item
            .get("interfaces")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|interface| interface.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| ManifestError::InterfaceItems(flow_id.to_owned()))?;
        found.push(Entrypoint {
            flow_id: flow_id.to_owned(),
            name: item.get("name").and_then(Value::as_str).map(str::to_owned),
            description,
            interfaces,
        });
    }
    Ok(found)
}

fn paths(map: &'static str, value: Option<&Value>) -> Result<IndexMap<String, String>, ManifestError> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(IndexMap::new());
    };
    let entries = value.as_object().ok_or(ManifestError::NotADict(map))?;
    let mut found = IndexMap::with_capacity(entries.len());
    for (key, path) in entries {
        if key.trim().is_empty() {
            return Err(ManifestError::BlankKey(map));
        }
        let path = path
            .as_str()
            .filter(|path| is_safe(path))
            .ok_or_else(|| ManifestError::UnsafePath {
                map,
                key: key.clone(),
                path: shown(path),
            })?;
        found.insert(key.clone(), path.to_owned());
    }
    Ok(found)
}

/// A relative path that stays below the bundle's root on every system.
fn is_safe(path: &str) -> bool {
    !path.trim().is_empty()
        && !path.starts_with('/')
        && !path.contains(['\\', '\0'])
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && !path.split('/').next().is_some_and(|first| first.contains(':'))
}
