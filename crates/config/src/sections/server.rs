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
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: 8080,
            trust_proxy: false,
        }
    }
}

impl ServerConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.host.as_deref().is_some_and(|host| host.trim().is_empty()) {
            problems.add("server.host", "must not be empty");
        }
    }
}
