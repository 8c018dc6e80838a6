//! A bundle file in two stages.
//!
//! A [`Package`] is what an upload installs: an archive with a valid manifest. A [`Bundle`] is what runs
//! are started from: its flow documents parsed. The stages fail apart, because the contract accepts an
//! upload whose flows cannot be loaded and reports that as the result of the reload.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    archive::{Archive, ArchiveError, Limits},
    flow::Object,
    manifest::{Manifest, ManifestError},
    status::ErrorStatus,
};

/// Path of the manifest inside the archive.
pub const MANIFEST_PATH: &str = "manifest.json";

/// Why bytes are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The archive is refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive has no manifest.
    #[error("manifest.json not found in bundle: {0}")]
    NoManifest(String),
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl PackageError {
    /// 400 or 413 for hostile archives, 500 for files that are no bundles (recorded behaviour).
    #[must_use]
    pub const fn status(&self) -> ErrorStatus {
        match self {
            Self::Archive(error) => error.status(),
            Self::NoManifest(_) | Self::Manifest(_) => ErrorStatus::Internal,
        }
    }
}

/// Why a package's flows cannot be used; the texts show up as `gateway_reload_error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The manifest lists no flow.
    #[error("Bundle '{0}' has no flows (manifest.flows is empty)")]
    NoFlows(String),
    /// A listed file is not in the archive.
    #[error("Bundle file not found: {0}")]
    FileMissing(String),
    /// A flow file is not a JSON object.
    #[error("VisualFlow JSON for '{0}' must be an object")]
    NotAnObject(String),
    /// A flow file is not JSON.
    #[error("VisualFlow JSON for '{workflow_id}' is not valid: {reason}")]
    Json {
        /// Namespaced id.
        workflow_id: String,
        /// The parser's words.
        reason: String,
    },
    /// A document with more values than a gateway wants to hold.
    #[error("VisualFlow JSON for '{workflow_id}' has more than {max} values")]
    TooComplex {
        /// Namespaced id.
        workflow_id: String,
        /// The limit.
        max: usize,
    },
    /// All flow files together are too large.
    #[error("Bundle '{bundle_ref}' has more than {max} bytes of flows")]
    FlowsTooLarge {
        /// `id@version`.
        bundle_ref: String,
        /// The limit in bytes.
        max: u64,
    },
    /// An id or version with `@`, `:` or `/` would make references ambiguous.
    #[error("Bundle '{0}' cannot be referenced: its id or version contains '@', ':' or '/'")]
    Ambiguous(String),
    /// A flow file is damaged or too large.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// An archive with a valid manifest.
#[derive(Clone, Debug)]
pub struct Package {
    archive: Archive,
    manifest: Manifest,
    sha256: String,
    limits: Limits,
}

impl Package {
    /// Checks the archive's structure and reads the manifest. `origin` is named when it is missing.
    /// Other entries are not inflated; see [`Package::verify`].
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn open(bytes: Bytes, origin: &str, limits: &Limits) -> Result<Self, PackageError> {
        let archive = Archive::open(bytes, limits)?;
        let json = archive
            .read(MANIFEST_PATH, limits.max_manifest_bytes)?
            .ok_or_else(|| PackageError::NoManifest(origin.to_owned()))?;
        let manifest = Manifest::parse(&json)?;
        let sha256 = hex::encode(Sha256::digest(archive.bytes()));
        Ok(Self {
            archive,
            manifest,
            sha256,
            limits: limits.clone(),
        })
    }

    /// Inflates every entry once to find lies that nobody would otherwise read.
    ///
    /// # Errors
    /// The archive's error.
    pub fn verify(&self) -> Result<(), PackageError> {
        Ok(self.archive.verify()?)
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Lower-case hex SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The archive, for assets.
    #[must_use]
    pub const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The file as it was given.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        self.archive.bytes()
    }

    /// Parses the flow documents.
    ///
    /// # Errors
    /// [`LoadError`] for the first flow that cannot be used.
    pub fn load(&self) -> Result<Bundle, LoadError> {
        let manifest = &self.manifest;
        let bundle_ref = manifest.bundle_ref();
        if manifest.bundle_id.contains(['@', ':', '/']) || manifest.bundle_version.contains(['@', ':', '/']) {
            return Err(LoadError::Ambiguous(bundle_ref));
        }
        if manifest.flows.is_empty() {
            return Err(LoadError::NoFlows(bundle_ref));
        }
        let mut left = self.limits.max_flows_bytes;
        let mut flows = IndexMap::with_capacity(manifest.flows.len());
        for (flow_id, path) in &manifest.flows {
            let json = self
                .archive
                .read(path, self.limits.max_flow_bytes)?
                .ok_or_else(|| LoadError::FileMissing(path.clone()))?;
            left = left
                .checked_sub(json.len() as u64)
                .ok_or_else(|| LoadError::FlowsTooLarge {
                    bundle_ref: bundle_ref.clone(),
                    max: self.limits.max_flows_bytes,
                })?;
            let workflow_id = format!("{bundle_ref}:{flow_id}");
            flows.insert(flow_id.clone(), Arc::new(self.document(&json, workflow_id)?));
        }
        Ok(Bundle {
            manifest: manifest.clone(),
            sha256: self.sha256.clone(),
            flows,
        })
    }

    fn document(&self, json: &[u8], workflow_id: String) -> Result<Object, LoadError> {
        let max = self.limits.max_json_values;
        if value_bound(json) > max {
            return Err(LoadError::TooComplex { workflow_id, max });
        }
        match serde_json::from_slice(json) {
            Ok(Value::Object(document)) => Ok(document),
            Ok(_) => Err(LoadError::NotAnObject(workflow_id)),
            Err(error) => Err(LoadError::Json {
                workflow_id,
                reason: error.to_string(),
            }),
        }
    }
}

/// An upper bound of the number of values in a JSON text, without parsing it: every value but the first
/// follows an opening bracket or a comma. Commas inside strings count too, hence "bound"; text-heavy
/// flows stay far below any sensible limit.
fn value_bound(json: &[u8]) -> usize {
    json.iter()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
        .count()
}

/// A loaded bundle: manifest and parsed flow documents.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    sha256: String,
    flows: IndexMap<String, Arc<Object>>,
}

impl Bundle {
    /// The bundle's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.manifest.bundle_id
    }

    /// The bundle's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.manifest.bundle_version
    }

    /// Lower-case hex SHA-256 of the bundle file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Flow documents as stored (not namespaced), by manifest key, in manifest order. The documents' own
    /// `id` members may differ from the keys and are not used.
    #[must_use]
    pub const fn flows(&self) -> &IndexMap<String, Arc<Object>> {
        &self.flows
    }

    /// One flow document as stored.
    #[must_use]
    pub fn flow(&self, flow_id: &str) -> Option<&Arc<Object>> {
        self.flows.get(flow_id)
    }
}

#[cfg(test)]
mod tests;
