//! The sections of the configuration, one file each.

mod audit;
mod auth;
mod blobs;
mod data;
mod encryption;
mod execution;
mod host;
mod limits;
mod messaging;
pub(crate) mod providers;
mod runner;
mod s3;
mod server;
mod sessions;
mod store;
mod telemetry;
mod users;
mod workflows;
mod workspace;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    audit::AuditConfig,
    auth::AuthConfig,
    blobs::BlobsConfig,
    data::DataConfig,
    encryption::EncryptionConfig,
    execution::{ExecutionConfig, ToolMode},
    host::HostConfig,
    limits::LimitsConfig,
    messaging::MessagingConfig,
    providers::ProvidersConfig,
    runner::RunnerConfig,
    s3::S3Config,
    server::ServerConfig,
    sessions::SessionsConfig,
    store::{DbSync, StoreBackend, StoreConfig},
    telemetry::{LogFormat, TelemetryConfig},
    users::UsersConfig,
    workflows::WorkflowsConfig,
    workspace::WorkspaceConfig,
};

pub(crate) use self::data::DEFAULT_DATA_DIR;
use crate::Problems;

/// Everything an operator can set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where data lives.
    pub data: DataConfig,
    /// The HTTP listener.
    pub server: ServerConfig,
    /// Sizes and numbers at which requests are refused.
    pub limits: LimitsConfig,
    /// The database.
    pub store: StoreConfig,
    /// A bucket for the bytes of artifacts and bundles.
    pub s3: S3Config,
    /// The collection of bytes that nothing refers to any more.
    pub blobs: BlobsConfig,
    /// Keys that encrypt stored secrets.
    pub encryption: EncryptionConfig,
    /// The brokers of a cluster.
    pub messaging: MessagingConfig,
    /// The runner of this process.
    pub runner: RunnerConfig,
    /// Who may call.
    pub auth: AuthConfig,
    /// Users mode.
    pub users: UsersConfig,
    /// Browser sessions.
    pub sessions: SessionsConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Bundles, catalogue and editor documents.
    pub workflows: WorkflowsConfig,
    /// Run workspaces and file operations.
    pub workspace: WorkspaceConfig,
    /// Tools, memory and code of running workflows.
    pub execution: ExecutionConfig,
    /// Logs and metrics.
    pub telemetry: TelemetryConfig,
    /// Figures about the machine.
    pub host: HostConfig,
    /// Variables of model providers and of the media, memory and message bridges, by their own names.
    #[schemars(with = "BTreeMap<String, String>")]
    pub providers: ProvidersConfig,
}

impl Config {
    /// Moves values into the ranges of the contract, saying so.
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        self.limits.normalise(warnings);
        self.s3.normalise(warnings);
        self.blobs.normalise(warnings);
        self.runner.normalise(warnings);
        self.auth.normalise(warnings);
        self.sessions.normalise(warnings);
        self.audit.normalise(warnings);
        if self.store.backend == Some(StoreBackend::Sqlite) && self.store.database_url.is_some() {
            warnings.push("store.database_url has no effect: store.backend is sqlite".to_owned());
        }
    }

    /// Collects every broken rule, by key.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        self.data.validate(problems);
        self.server.validate(problems);
        self.store.validate(&self.data, problems);
        self.s3.validate(problems);
        self.messaging.validate(problems);
        self.runner.validate(problems);
        self.auth.validate(problems);
        self.sessions.validate(problems);
        self.workflows.validate(problems);
        self.workspace.validate(problems);
        self.telemetry.validate(problems);
        self.host.validate(problems);
    }
}

/// Moves `value` into `range`, saying so.
fn clamp<T: Ord + Copy + std::fmt::Display>(
    key: &str,
    value: &mut T,
    range: std::ops::RangeInclusive<T>,
    warnings: &mut Vec<String>,
) {
    let clamped = (*value).clamp(*range.start(), *range.end());
    if clamped != *value {
        warnings.push(format!("{key}: {value} is out of range, {clamped} is used"));
        *value = clamped;
    }
}

/// A duration in seconds that can be used as one.
fn check_seconds(key: &'static str, seconds: f64, problems: &mut Problems) {
    if !seconds.is_finite() || seconds < 0.0 {
        problems.add(key, "must be a number of seconds, 0 or more");
    }
}

/// A name that can stand in an HTTP header: a token of RFC 9110.
fn check_token(key: &'static str, text: &str, problems: &mut Problems) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        problems.add(key, "must be an HTTP token");
    }
}
