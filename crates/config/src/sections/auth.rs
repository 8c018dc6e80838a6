//! `[auth]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{check_seconds, clamp};
use crate::{Problems, lists, secret};

/// Who may call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The security layer as a whole; off means that everybody is the local admin. Since v0.1.0.
    pub security: bool,
    /// Shared tokens, separated by commas. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// File that holds shared tokens. Since v0.1.0.
    pub token_file: Option<PathBuf>,
    /// More shared tokens, separated by commas. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub tokens: Option<SecretString>,
    /// File that holds more shared tokens. Since v0.1.0.
    pub tokens_file: Option<PathBuf>,
    /// Authentication for reads. Since v0.1.0.
    pub protect_read: bool,
    /// Authentication for writes. Since v0.1.0.
    pub protect_write: bool,
    /// Reads from loopback addresses need no authentication. Since v0.1.0.
    pub dev_read_no_auth: bool,
    /// Browser origins that may call; `*`, `?` and `[ ]` make an entry a shell glob. Since v0.1.0.
    #[serde(deserialize_with = "lists::comma_list")]
    pub allowed_origins: Vec<String>,
    /// Failures at which an address and identity are locked out. Since v0.1.0.
    pub lockout_after: u32,
    /// First lock in seconds; doubles with each further failure. Since v0.1.0.
    pub lockout_base_s: f64,
    /// Longest lock in seconds, 0 = no cap. Since v0.1.0.
    pub lockout_max_s: f64,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            security: true,
            token: None,
            token_file: None,
            tokens: None,
            tokens_file: None,
            protect_read: true,
            protect_write: true,
            dev_read_no_auth: false,
            allowed_origins: vec!["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()],
            lockout_after: 5,
            lockout_base_s: 1.0,
            lockout_max_s: 60.0,
        }
    }
}

impl AuthConfig {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        clamp(
            "auth.lockout_after",
            &mut self.lockout_after,
            1..=u32::MAX,
            warnings,
        );
    }

    pub(crate) fn validate(&self, problems: &mut Problems) {
        check_seconds("auth.lockout_base_s", self.lockout_base_s, problems);
        check_seconds("auth.lockout_max_s", self.lockout_max_s, problems);
    }
}
