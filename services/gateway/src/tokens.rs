//! Tokens of the local mode.

use std::fs;

use ag_config::Config;

/// The local token, if `serve` has made one in this data directory.
pub(crate) fn local(config: &Config) -> Option<String> {
    let text = fs::read_to_string(config.data_path("auth/local-token")).ok()?;
    let token = text.trim();
    (!token.is_empty()).then(|| token.to_owned())
}
