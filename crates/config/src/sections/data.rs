//! `[data]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problems;

pub(crate) const DEFAULT_DATA_DIR: &str = "./runtime";

/// Where data lives.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Root of everything that is kept on disk. Default `./runtime`. Since v0.1.0.
    pub dir: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from(DEFAULT_DATA_DIR),
        }
    }
}

impl DataConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.dir.as_os_str().is_empty() {
            problems.add("data.dir", "must not be empty");
        }
    }
}
