//! What is installed in a plane.

use std::collections::{BTreeMap, HashMap};

use ag_bundles::BundleIndex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Stored row of an installed bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleRecord {
    /// Content hash; the blob's name.
    pub sha256: String,
    /// The manifest as it was read.
    pub manifest: Value,
    /// Why its flows cannot be used; such a bundle is installed but not loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_error: Option<String>,
}

/// A deprecation of a flow or (`*`) of a whole bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deprecation {
    /// When (`…Z`).
    pub deprecated_at: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is installed in a plane, at one generation.
#[derive(Debug, Clone, Default)]
pub struct PlaneRegistry {
    /// Generation of the registry.
    pub generation: i64,
    /// Usable bundles.
    pub index: BundleIndex,
    /// Installed bundles that do not load, `id@version` → reason.
    pub broken: BTreeMap<String, String>,
    /// Deprecations by (bundle, flow or `*`).
    pub deprecations: HashMap<(String, String), Deprecation>,
}

impl PlaneRegistry {
    /// The deprecation of a flow; its own wins over the bundle's.
    pub fn deprecation(&self, bundle: &str, flow: &str) -> Option<&Deprecation> {
        let find = |flow: &str| self.deprecations.get(&(bundle.to_owned(), flow.to_owned()));
        find(flow).or_else(|| find("*"))
    }

    /// The contract's text for a deprecated flow, if it is one.
    pub fn deprecation_text(&self, bundle: &str, flow: &str) -> Option<String> {
        let found = self.deprecation(bundle, flow)?;
        let reason = found.reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("Workflow '{bundle}:{flow}' is deprecated{reason}"))
    }
}
