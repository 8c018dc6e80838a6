//! `[host]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problems;

/// Figures about the machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Where GPU figures come from: `auto`, `nvidia-smi`, `nvidia`, `ioreg`, `macos` or `off`. Since v0.1.0.
    pub gpu_metrics_provider: String,
    /// Keep successful GPU polls out of the access log. Since v0.1.0.
    pub silence_gpu_access_log: bool,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            gpu_metrics_provider: "auto".to_owned(),
            silence_gpu_access_log: true,
        }
    }
}

impl HostConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        const KNOWN: &[&str] = &["auto", "nvidia-smi", "nvidia", "ioreg", "macos", "off"];
        if !KNOWN.contains(&self.gpu_metrics_provider.as_str()) {
            problems.add(
                "host.gpu_metrics_provider",
                format!("must be one of {}", KNOWN.join(", ")),
            );
        }
    }
}
