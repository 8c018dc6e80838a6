//! `[sessions]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{check_token, clamp};
use crate::{Problems, secret};

/// Browser sessions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// Session file. Default `<DATA_DIR>/auth/sessions.json`. Since v0.1.0.
    pub file: Option<PathBuf>,
    /// Key that signs session ids. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
    /// File of that key, created if missing. Default `<DATA_DIR>/auth/session_secret`. Since v0.1.0.
    pub secret_file: Option<PathBuf>,
    /// Life of a session in seconds, 60 to 604800. Since v0.1.0.
    pub ttl_s: u64,
    /// Life of a remembered session in seconds, 60 to 7776000. Since v0.1.0.
    pub remember_ttl_s: u64,
    /// Sessions kept, 10 to 10000; the least recently seen go first. Since v0.1.0.
    pub max: u64,
    /// Name of the session cookie. Since v0.1.0.
    pub cookie: String,
    /// Name of the CSRF cookie. Since v0.1.0.
    pub csrf_cookie: String,
    /// Name of the session header. Since v0.1.0.
    pub header: String,
    /// Name of the CSRF header. Since v0.1.0.
    pub csrf_header: String,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            file: None,
            secret: None,
            secret_file: None,
            ttl_s: 28_800,
            remember_ttl_s: 2_592_000,
            max: 1_000,
            cookie: "abstractgateway_session".to_owned(),
            csrf_cookie: "abstractgateway_csrf".to_owned(),
            header: "x-abstractgateway-session".to_owned(),
            csrf_header: "x-abstractgateway-csrf".to_owned(),
        }
    }
}

impl SessionsConfig {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        clamp("sessions.ttl_s", &mut self.ttl_s, 60..=604_800, warnings);
        clamp(
            "sessions.remember_ttl_s",
            &mut self.remember_ttl_s,
            60..=7_776_000,
            warnings,
        );
        clamp("sessions.max", &mut self.max, 10..=10_000, warnings);
    }

    pub(crate) fn validate(&self, problems: &mut Problems) {
        check_token("sessions.cookie", &self.cookie, problems);
        check_token("sessions.csrf_cookie", &self.csrf_cookie, problems);
        check_token("sessions.header", &self.header, problems);
        check_token("sessions.csrf_header", &self.csrf_header, problems);
    }
}
