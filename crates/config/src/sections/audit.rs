//! `[audit]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clamp;
use crate::lists;

/// The audit log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Write one. Since v0.1.0.
    pub enabled: bool,
    /// Size in bytes at which the file is rotated, 0 = never. Since v0.1.0.
    pub max_bytes: u64,
    /// Rotated files kept, 0 to 200; 0 = all. Since v0.1.0.
    pub rotations: u64,
    /// Request headers that are recorded. Since v0.1.0.
    #[serde(deserialize_with = "lists::comma_list")]
    pub headers: Vec<String>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        let headers = ["x-client-id", "x-client-version", "x-forwarded-for"];
        Self {
            enabled: true,
            max_bytes: 52_428_800,
            rotations: 10,
            headers: headers.map(str::to_owned).to_vec(),
        }
    }
}

impl AuditConfig {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        clamp("audit.rotations", &mut self.rotations, 0..=200, warnings);
    }
}
