//! `[workflows]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{Problems, secret};

/// Bundles, catalogue and editor documents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkflowsConfig {
    /// Folder of bundles, or one bundle. Default: the bundles shipped with the gateway. Since v0.1.0.
    pub flows_dir: Option<PathBuf>,
    /// Only `bundle`. Since v0.1.0.
    pub source: String,
    /// Catalogue file. Default `<DATA_DIR>/workflow_catalog.json`. Since v0.1.0.
    pub catalog_file: Option<PathBuf>,
    /// Catalogue bundles. Default `<DATA_DIR>/workflow_catalog/bundles`. Since v0.1.0.
    pub catalog_bundles_dir: Option<PathBuf>,
    /// Key of the policy signatures in runs. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub policy_secret: Option<SecretString>,
    /// File of that key, created if missing. Default `<DATA_DIR>/.workflow_policy_secret`. Since v0.1.0.
    pub policy_secret_file: Option<PathBuf>,
    /// Editor documents, shared by all planes. Default: one folder per plane. Since v0.1.0.
    pub visualflows_dir: Option<PathBuf>,
    /// Seconds that runs of drafts are kept, 0 = for ever. Since v0.1.0.
    pub draft_run_retention_s: u64,
    /// Largest chat thread in bytes. Since v0.1.0.
    pub max_chat_thread_bytes: u64,
}

impl Default for WorkflowsConfig {
    fn default() -> Self {
        Self {
            flows_dir: None,
            source: "bundle".to_owned(),
            catalog_file: None,
            catalog_bundles_dir: None,
            policy_secret: None,
            policy_secret_file: None,
            visualflows_dir: None,
            draft_run_retention_s: 604_800,
            max_chat_thread_bytes: 750_000,
        }
    }
}

impl WorkflowsConfig {
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.source != "bundle" {
            problems.add("workflows.source", "must be bundle");
        }
    }
}
