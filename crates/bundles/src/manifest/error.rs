//! What can be wrong with a manifest; the texts are the contract's.

/// The first rule a manifest breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON at all.
    #[error("manifest.json is not valid JSON: {0}")]
    Json(String),
    /// JSON, but not an object.
    #[error("manifest.json must be a JSON object")]
    NotAnObject,
    /// A format of the future.
    #[error("Unsupported WorkflowBundle bundle_format_version '{0}'. Supported: 1")]
    Format(String),
    /// No id.
    #[error("bundle_id must be a non-empty string")]
    BundleId,
    /// An empty or wrong-typed version (a missing one is 0.0.0).
    #[error("bundle_version must be a non-empty string")]
    BundleVersion,
    /// Nothing to start.
    #[error("manifest.entrypoints must be a non-empty list")]
    NoEntrypoints,
    /// An entrypoint without flow.
    #[error("entrypoint.flow_id must be a non-empty string")]
    EntrypointFlowId,
    /// Two entrypoints for one flow.
    #[error("Duplicate entrypoint flow_id '{0}'")]
    DuplicateEntrypoint(String),
    /// Wrong type.
    #[error("entrypoint '{0}' description must be a string")]
    Description(String),
    /// An interface that is no string.
    #[error("entrypoint '{0}' interfaces must be strings")]
    InterfaceItems(String),
    /// Unknown default.
    #[error("default_entrypoint '{0}' must match an entrypoint.flow_id")]
    DefaultEntrypoint(String),
    /// Wrong type of a path map.
    #[error("manifest.{0} must be a dict")]
    NotADict(&'static str),
    /// Blank key in a path map.
    #[error("manifest.{0} keys must be non-empty strings")]
    BlankKey(&'static str),
    /// A path that could leave the bundle.
    #[error("manifest.{map} entry '{key}' has unsafe path '{path}'")]
    UnsafePath {
        /// `flows`, `artifacts` or `assets`.
        map: &'static str,
        /// Key in that map.
        key: String,
        /// As written; not a string → its JSON.
        path: String,
    },
}
