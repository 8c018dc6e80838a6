//! `[telemetry]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{Problems, secret};

/// Logs, metrics and traces.
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
    /// OTLP receiver of traces (`http://collector:4318`); unset = no traces leave the process. Since v0.1.0.
    pub otlp_endpoint: Option<String>,
    /// Headers for it, `name=value` separated by commas. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub otlp_headers: Option<SecretString>,
    /// File that holds the headers. Since v0.1.0.
    pub otlp_headers_file: Option<PathBuf>,
    /// Name of this service in traces. Since v0.1.0.
    pub service_name: String,
    /// Share of traces that begin here and are kept, 0 to 1; what a caller has begun follows the caller. Since v0.1.0.
    pub trace_ratio: f64,
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
            otlp_endpoint: None,
            otlp_headers: None,
            otlp_headers_file: None,
            service_name: "abstractgateway".to_owned(),
            trace_ratio: 1.0,
        }
    }
}

impl TelemetryConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.metrics_addr.parse::<std::net::IpAddr>().is_err() {
            problems.add("telemetry.metrics_addr", "must be an IP address");
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            problems.add("telemetry.trace_ratio", "must be between 0 and 1");
        }
        let http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.otlp_endpoint.as_ref().is_none_or(http) {
            problems.add("telemetry.otlp_endpoint", "must start with http:// or https://");
        }
    }
}
