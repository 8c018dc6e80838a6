//! `[users]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret;

/// Users mode: own tokens, roles and data for each user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsersConfig {
    /// Users mode on or off; unset leaves it to `mode`, then to `auto`. Since v0.1.0.
    pub enabled: Option<bool>,
    /// Mode by name: `users`, `hosted`, … or `single`, `local`, …. Since v0.1.0.
    pub mode: Option<String>,
    /// Users mode if the registry file exists. Since v0.1.0.
    pub auto: bool,
    /// Registry file. Default `<DATA_DIR>/auth/users.json`. Since v0.1.0.
    pub file: Option<PathBuf>,
    /// The default admin works on the root data plane. Since v0.1.0.
    pub admin_uses_default_runtime: bool,
    /// Create the admin at start. Since v0.1.0.
    pub bootstrap_admin: bool,
    /// Token of that admin. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub bootstrap_token: Option<SecretString>,
    /// File that the admin's token is written to. Since v0.1.0.
    pub bootstrap_token_file: Option<PathBuf>,
    /// Print the token even when not bound to loopback. Since v0.1.0.
    pub bootstrap_print_token: bool,
}

impl Default for UsersConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            mode: None,
            auto: false,
            file: None,
            admin_uses_default_runtime: true,
            bootstrap_admin: true,
            bootstrap_token: None,
            bootstrap_token_file: None,
            bootstrap_print_token: false,
        }
    }
}
