//! `[encryption]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret;

/// Keys that encrypt stored secrets, such as the keys of model providers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionConfig {
    /// `<id>:<32 bytes in base64>`, several separated by commas or lines. The first one encrypts, the others still
    /// decrypt what they encrypted: a new key goes to the front. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub keys: Option<SecretString>,
    /// File that holds the keys. Default with the embedded store: `<DATA_DIR>/auth/encryption-keys`, made at first
    /// use. Since v0.1.0.
    pub keys_file: Option<PathBuf>,
}
