//! Publishing a document of the editor: collect what it calls, choose id and version, write the manifest.

use std::{collections::BTreeSet, sync::Arc};

use indexmap::IndexMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{PackError, pack};
use crate::{
    flow::{self, Object},
    flow_check,
    install::{InstallError, install_name, sanitize_id},
    manifest::{Entrypoint, FORMAT_VERSION, Manifest},
    pytext,
    status::ErrorStatus,
    version,
};

/// An installed version of the bundle that is published to.
#[derive(Clone, Debug, Default)]
pub struct ExistingVersion {
    /// Its version.
    pub version: String,
    /// Its manifest's `created_at`.
    pub created_at: String,
    /// Its manifest's `metadata.lineage.origin_bundle_version`.
    pub origin: Option<String>,
}

impl From<&Manifest> for ExistingVersion {
    fn from(manifest: &Manifest) -> Self {
        Self {
            version: manifest.bundle_version.clone(),
            created_at: manifest.created_at.clone(),
            origin: manifest
                .metadata_text(["lineage", "origin_bundle_version"])
                .map(str::to_owned),
        }
    }
}

/// Input of [`publish`].
#[derive(Clone, Copy)]
pub struct PublishRequest<'a> {
    /// The id the root document is stored under.
    pub flow_id: &'a str,
    /// The root document.
    pub root: &'a Arc<Object>,
    /// Other documents of the same store, by id.
    pub lookup: &'a dyn Fn(&str) -> Option<Arc<Object>>,
    /// Result of [`publish_bundle_id`].
    pub bundle_id: &'a str,
    /// As requested; chosen when absent or blank.
    pub bundle_version: Option<&'a str>,
    /// Replace an installed version.
    pub overwrite: bool,
    /// All installed versions of `bundle_id`.
    pub existing: &'a [ExistingVersion],
    /// ISO time; becomes `created_at` and `published_at`.
    pub now: &'a str,
}

/// A bundle ready to be installed.
#[derive(Clone, Debug)]
pub struct Published {
    /// The manifest written.
    pub manifest: Manifest,
    /// The bundle file.
    pub bytes: Vec<u8>,
    /// Lower-case hex SHA-256 of `bytes`.
    pub sha256: String,
    /// File name to install under.
    pub file_name: String,
}

/// Why a publish is refused; the texts are the contract's.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Unsafe id or version, worded as for uploads.
    #[error(transparent)]
    Name(#[from] InstallError),
    /// The version is there and `overwrite` was not given.
    #[error("bundle_version '{version}' already exists for bundle '{bundle_id}'")]
    VersionExists {
        /// The version asked for.
        version: String,
        /// The bundle.
        bundle_id: String,
    },
    /// Subflow references without document.
    #[error("Failed to publish bundle: Missing referenced subflows in flows_dir: {}", pytext::list(.0.iter().map(String::as_str)))]
    MissingSubflows(Vec<String>),
    /// Writing failed.
    #[error("Failed to publish bundle: {0}")]
    Pack(#[from] PackError),
}

impl PublishError {
    /// HTTP status family of the answer.
    #[must_use]
    pub const fn status(&self) -> ErrorStatus {
        match self {
            Self::Name(error) => error.status(),
            _ => ErrorStatus::BadRequest,
        }
    }
}

/// The bundle a publish goes to: the requested id, which must be safe, else the flow's sanitised name,
/// else the flow id.
///
/// # Errors
/// [`PublishError::Name`] for an unsafe requested id.
pub fn publish_bundle_id(
    requested: Option<&str>,
    root: &Object,
    flow_id: &str,
) -> Result<String, PublishError> {
    if let Some(requested) = requested.map(str::trim).filter(|id| !id.is_empty()) {
        install_name(requested, crate::manifest::DEFAULT_VERSION)?;
        return Ok(requested.to_owned());
    }
    let name = flow::text(root, "name")
        .map(sanitize_id)
        .filter(|id| !id.is_empty());
    Ok(name.unwrap_or_else(|| sanitize_id(flow_id)))
}

/// Packs the root document and everything its execution can reach through subflows.
///
/// # Errors
/// [`PublishError`].
pub fn publish(request: &PublishRequest<'_>) -> Result<Published, PublishError> {
    let dated = request
        .existing
        .iter()
        .map(|known| (known.version.as_str(), known.created_at.as_str()));
    let previous = version::latest_published(dated);
    let bundle_version = match request
        .bundle_version
        .map(str::trim)
        .filter(|version| !version.is_empty())
    {
        Some(version) => version.to_owned(),
        None => version::next(previous),
    };
    let file_name = install_name(request.bundle_id, &bundle_version)?;
    if !request.overwrite
        && request
            .existing
            .iter()
            .any(|known| known.version == bundle_version)
    {
        return Err(PublishError::VersionExists {
            version: bundle_version,
            bundle_id: request.bundle_id.to_owned(),
        });
    }
    let flows = collect(request)?;
    let manifest = manifest(request, bundle_version, previous, &flows);
    let bytes = pack(&manifest, &flows)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    Ok(Published {
        manifest,
        bytes,
        sha256,
        file_name,
    })
}

/// The root first, then the rest by id, so that the result does not depend on the order of discovery.
fn collect(request: &PublishRequest<'_>) -> Result<IndexMap<String, Arc<Object>>, PublishError> {
    let mut flows = IndexMap::from([(request.flow_id.to_owned(), Arc::clone(request.root))]);
    let mut missing = BTreeSet::new();
    let mut at = 0;
    while let Some((_, document)) = flows.get_index(at) {
        let document = Arc::clone(document);
        for target in flow_check::reachable_subflows(&document) {
            if flows.contains_key(target) {
                continue;
            }
            // An id that is no plain file name can neither be stored by the editor nor become a path.
            match crate::visual_flow::check_id(target)
                .ok()
                .and_then(|()| (request.lookup)(target))
            {
                Some(found) => {
                    flows.insert(target.to_owned(), found);
                }
                None => {
                    missing.insert(target.to_owned());
                }
            }
        }
        at += 1;
    }
    if !missing.is_empty() {
        return Err(PublishError::MissingSubflows(missing.into_iter().collect()));
    }
    flows
        .sort_by(|left, _, right, _| (left != request.flow_id, left).cmp(&(right != request.flow_id, right)));
    Ok(flows)
}

fn manifest(
    request: &PublishRequest<'_>,
    bundle_version: String,
    previous: Option<&str>,
    flows: &IndexMap<String, Arc<Object>>,
) -> Manifest {
    let root = request.root;
    let origin = previous.map_or(bundle_version.as_str(), |previous| {
        let known = request.existing.iter().find(|known| known.version == previous);
        known
            .and_then(|known| known.origin.as_deref())
            .unwrap_or(previous)
    });
    let mut lineage = Object::new();
    lineage.insert("bundle_id".into(), json!(request.bundle_id));
    lineage.insert("bundle_version".into(), json!(bundle_version));
    lineage.insert("origin_bundle_version".into(), json!(origin));
    if let Some(previous) = previous {
        lineage.insert("previous_bundle_version".into(), json!(previous));
    }
    let member = |key: &str| root.get(key).and_then(Value::as_str);
    let channel = if version::is_draft(&bundle_version) {
        "draft"
    } else {
        "published"
    };
    let mut metadata = Object::new();
    metadata.insert(
        "lifecycle".into(),
        json!({"channel": channel, "source": "abstractflow.editor"}),
    );
    metadata.insert(
        "publisher".into(),
        json!({"host": "abstractgateway", "published_at": request.now}),
    );
    metadata.insert(
        "source".into(),
        json!({
            "root_flow_id": request.flow_id,
            "root_flow_name": member("name"),
            "root_flow_updated_at": member("updated_at"),
        }),
    );
    metadata.insert("lineage".into(), Value::Object(lineage));
    let interfaces = root.get("interfaces").and_then(Value::as_array);
    Manifest {
        bundle_format_version: FORMAT_VERSION.to_owned(),
        bundle_id: request.bundle_id.to_owned(),
        bundle_version,
        created_at: request.now.to_owned(),
        entrypoints: vec![Entrypoint {
            flow_id: request.flow_id.to_owned(),
            name: member("name").map(str::to_owned),
            description: member("description").unwrap_or_default().to_owned(),
            interfaces: interfaces
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        }],
        default_entrypoint: Some(request.flow_id.to_owned()),
        flows: flows
            .keys()
            .map(|id| (id.clone(), format!("flows/{id}.json")))
            .collect(),
        artifacts: IndexMap::new(),
        assets: IndexMap::new(),
        metadata,
    }
}
