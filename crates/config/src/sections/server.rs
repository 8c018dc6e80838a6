//! `[server]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problems;

/// The HTTP listener.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to bind. Unset: all addresses if authentication is set up, else loopback. Since v0.1.0.
    pub host: Option<String>,
    /// Port to bind; 0 takes a free one. Since v0.1.0.
    pub port: u16,
    /// Take the client address from the first element of `X-Forwarded-For`. Since v0.1.0.
    pub trust_proxy: bool,
    /// Seconds that a client may take nothing of what is being sent to it; then its connection is cut. A stream that is
    /// cut can be resumed. Since v0.1.0.
    pub stall_s: f64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: 8080,
            trust_proxy: false,
            stall_s: 30.0,
        }
    }
}

impl ServerConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.host.as_deref().is_some_and(|host| host.trim().is_empty()) {
            problems.add("server.host", "must not be empty");
        }
        // Less would cut clients that are merely slow.
        if !self.stall_s.is_finite() || self.stall_s < 1.0 {
            problems.add("server.stall_s", "must be a number of seconds, 1 or more");
        }
    }
}
