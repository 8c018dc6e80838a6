//! `[limits]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clamp;

/// Default cap of one attachment, in bytes.
const DEFAULT_ATTACHMENT_BYTES: u64 = 26_214_400;

/// Sizes and numbers at which requests are refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest request body in bytes, 0 = unlimited. Since v0.1.0.
    pub max_body_bytes: u64,
    /// Additional cap of upload bodies in bytes, 0 = follows from the kind of upload. Since v0.1.0.
    pub max_upload_body_bytes: u64,
    /// Largest attachment in bytes; unset or 0 = 26214400. A set value is also copied into runs. Since v0.1.0.
    pub max_attachment_bytes: Option<u64>,
    /// Largest bundle in bytes. Since v0.1.0.
    pub max_bundle_bytes: u64,
    /// Requests in flight per node. Since v0.1.0.
    pub max_concurrency: u64,
    /// Ledger streams per node. Since v0.1.0.
    pub max_sse: u64,
    /// Requests in flight of one tenant's runtime over all nodes, 0 = unlimited. Since v0.1.0.
    pub max_plane_concurrency: u64,
    /// Ledger streams of one tenant's runtime over all nodes, 0 = unlimited. Since v0.1.0.
    pub max_plane_sse: u64,
    /// Requests of one tenant's runtime in a minute over all nodes, 0 = unlimited. Since v0.1.0.
    pub max_plane_requests_per_minute: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 256_000,
            max_upload_body_bytes: 0,
            max_attachment_bytes: None,
            max_bundle_bytes: 78_643_200,
            max_concurrency: 1_024,
            max_sse: 10_000,
            max_plane_concurrency: 0,
            max_plane_sse: 0,
            max_plane_requests_per_minute: 0,
        }
    }
}

impl LimitsConfig {
    /// The cap of one attachment in bytes.
    #[must_use]
    pub fn attachment_bytes(&self) -> u64 {
        self.max_attachment_bytes.unwrap_or(DEFAULT_ATTACHMENT_BYTES)
    }

    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        // Up to what a semaphore can count and a process could ever hold.
        clamp(
            "limits.max_concurrency",
            &mut self.max_concurrency,
            1..=10_000_000,
            warnings,
        );
        clamp("limits.max_sse", &mut self.max_sse, 1..=10_000_000, warnings);
        self.max_attachment_bytes = self.max_attachment_bytes.filter(|bytes| *bytes > 0);
    }
}
