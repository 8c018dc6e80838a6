//! `[telemetry]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problems;

/// Logs and metrics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL` or `NONE`. Since v0.1.0.
    pub log_level: String,
    /// Filter by module in the notation of tracing, for example `info,ag_engine=debug`; wins over the level.
    /// Since v0.1.0.
    pub log_filter: Option<String>,
    /// Shape of log lines. Since v0.1.0.
    pub log_format: LogFormat,
    /// Address of the listener for metrics and health. Since v0.1.0.
    pub metrics_addr: String,
    /// Its port; unset = no such listener, 0 = a free one. Since v0.1.0.
    pub metrics_port: Option<u16>,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_level: "ERROR".to_owned(),
            log_filter: None,
            log_format: LogFormat::default(),
            metrics_addr: "127.0.0.1".to_owned(),
            metrics_port: None,
        }
    }
}

impl TelemetryConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.metrics_addr.parse::<std::net::IpAddr>().is_err() {
            problems.add("telemetry.metrics_addr", "must be an IP address");
        }
    }
}
