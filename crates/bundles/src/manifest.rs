//! `manifest.json`: which flows a bundle holds and which of them can be started.

mod error;
mod parse;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

pub use error::ManifestError;

use crate::{flow::Object, version};

/// The only format there is.
pub const FORMAT_VERSION: &str = "1";
/// Version of a bundle whose manifest names none.
pub const DEFAULT_VERSION: &str = "0.0.0";

/// A flow that a client may start by the bundle's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entrypoint {
    /// Key in [`Manifest::flows`] (not checked: a missing flow shows at load).
    pub flow_id: String,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text, may be empty.
    pub description: String,
    /// Plain strings that clients filter by.
    pub interfaces: Vec<String>,
}

impl Entrypoint {
    /// The name to show: the flow id where none was given.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.flow_id)
    }
}

/// A validated manifest. Serialises to the snake-case form, in the order a publisher writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// Always [`FORMAT_VERSION`].
    pub bundle_format_version: String,
    /// Not empty; may be unsafe as a file name (see [`crate::install`]).
    pub bundle_id: String,
    /// Not empty.
    pub bundle_version: String,
    /// Free text, used for ordering versions that are not numeric.
    pub created_at: String,
    /// Not empty, flow ids unique.
    pub entrypoints: Vec<Entrypoint>,
    /// One of the entrypoints.
    pub default_entrypoint: Option<String>,
    /// Flow id to path inside the bundle.
    pub flows: IndexMap<String, String>,
    /// Legacy map, carried through.
    pub artifacts: IndexMap<String, String>,
    /// Carried through.
    pub assets: IndexMap<String, String>,
    /// Carried through.
    pub metadata: Object,
}

impl Manifest {
    /// Reads the manifest from a JSON document.
    ///
    /// # Errors
    /// [`ManifestError`] with the contract's text.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let value: Value =
            serde_json::from_slice(json).map_err(|error| ManifestError::Json(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads the manifest from a parsed document, accepting the aliases of older editors and dropping
    /// optional members of the wrong type.
    ///
    /// # Errors
    /// [`ManifestError`] with the contract's text.
    pub fn from_value(value: &Value) -> Result<Self, ManifestError> {
        parse::manifest(value)
    }

    /// `bundle_id@bundle_version`.
    #[must_use]
    pub fn bundle_ref(&self) -> String {
        format!("{}@{}", self.bundle_id, self.bundle_version)
    }

    /// True for a version that starts with `draft.`.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        version::is_draft(&self.bundle_version)
    }

    /// The entrypoint with this flow id.
    #[must_use]
    pub fn entrypoint(&self, flow_id: &str) -> Option<&Entrypoint> {
        self.entrypoints
            .iter()
            .find(|entrypoint| entrypoint.flow_id == flow_id)
    }

    /// A string inside `metadata`, by path.
    #[must_use]
    pub fn metadata_text(&self, path: [&str; 2]) -> Option<&str> {
        self.metadata.get(path[0])?.get(path[1])?.as_str()
    }
}
