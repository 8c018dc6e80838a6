//! `[workspace]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_seconds;
use crate::Problems;

/// Run workspaces and file operations.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceConfig {
    /// Root of the run workspaces, one mount for all nodes that touch files.
    /// Default `<DATA_DIR>/workspaces`. Since v0.1.0.
    pub root: Option<PathBuf>,
    /// Root of file operations outside of runs. Since v0.1.0.
    pub dir: Option<PathBuf>,
    /// Further roots, one `name=/absolute/dir` per line. Since v0.1.0.
    pub mounts: Option<String>,
    /// Honour the workspace fields of clients. Since v0.1.0.
    pub allow_client_scope: bool,
    /// The older name of the same switch. Since v0.1.0.
    pub trust_client_scope: bool,
    /// Seconds that the file search index is reused. Since v0.1.0.
    pub file_index_ttl_s: f64,
    /// Files in that index at most. Since v0.1.0.
    pub file_index_max_files: u64,
}

impl Default for WorkspaceConfig {
    fn default() -> Self {
        Self {
            root: None,
            dir: None,
            mounts: None,
            allow_client_scope: false,
            trust_client_scope: false,
            file_index_ttl_s: 30.0,
            file_index_max_files: 50_000,
        }
    }
}

impl WorkspaceConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        check_seconds("workspace.file_index_ttl_s", self.file_index_ttl_s, problems);
    }
}
