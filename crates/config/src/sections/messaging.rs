//! `[messaging]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Problems, secret};

/// The brokers of a cluster. Both URLs may carry credentials and are therefore secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MessagingConfig {
    /// NATS server, or several separated by commas. Unset: wake-ups stay in the process. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub nats_url: Option<SecretString>,
    /// File that holds the NATS URL. Since v0.1.0.
    pub nats_url_file: Option<PathBuf>,
    /// Redis server. Unset: feeds and counters stay in the process. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub redis_url: Option<SecretString>,
    /// File that holds the Redis URL. Since v0.1.0.
    pub redis_url_file: Option<PathBuf>,
}

impl MessagingConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        let starts = |url: &Option<SecretString>, schemes: &[&str]| {
            url.as_ref().is_none_or(|url| {
                schemes
                    .iter()
                    .any(|scheme| url.expose_secret().starts_with(scheme))
            })
        };
        if !starts(&self.nats_url, &["nats://", "tls://", "ws://", "wss://"]) {
            problems.add(
                "messaging.nats_url",
                "must start with nats://, tls://, ws:// or wss://",
            );
        }
        if !starts(
            &self.redis_url,
            &["redis://", "rediss://", "unix://", "redis+unix://"],
        ) {
            problems.add(
                "messaging.redis_url",
                "must start with redis://, rediss:// or unix://",
            );
        }
    }
}
