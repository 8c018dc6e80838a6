//! `[blobs]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clamp;

/// The collection of bytes that nothing refers to any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// Seconds between two collections, 0 = only by hand (`abstractgateway gc`). Since v0.1.0.
    pub gc_interval_s: u64,
    /// Seconds that unreferenced bytes are spared before they are retired, and again before they are removed.
    /// Longer than anything takes from storing bytes to committing the row that names them. Since v0.1.0.
    pub gc_grace_s: u64,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            gc_interval_s: 21_600,
            gc_grace_s: 86_400,
        }
    }
}

impl BlobsConfig {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        if self.gc_interval_s > 0 {
            clamp(
                "blobs.gc_interval_s",
                &mut self.gc_interval_s,
                60..=31_536_000,
                warnings,
            );
        }
        // A tool may work for two hours before the row of what it stored is committed.
        clamp(
            "blobs.gc_grace_s",
            &mut self.gc_grace_s,
            10_800..=31_536_000,
            warnings,
        );
    }
}
