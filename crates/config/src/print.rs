//! Rendering a configuration for people and for tools.

use serde_json::Value;

use crate::Config;

impl Config {
    /// The configuration as JSON with every secret replaced by `<redacted>`.
    #[must_use]
    pub fn redacted(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The configuration as TOML, secrets replaced, unset keys left out: what `config print` shows.
    #[must_use]
    pub fn redacted_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// JSON schema of the configuration file.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}
