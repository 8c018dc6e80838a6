//! Layered configuration of the gateway.
//!
//! Order, weakest first: defaults in code, a TOML file, the environment, command-line flags; all of it in
//! [`load`]. The names of environment variables are public contract and live in one table ([`env_map::VARIABLES`]);
//! the process environment is read once, through [`EnvSource`], and nothing else may look at it.
//!
//! Secrets are [`secrecy::SecretString`]: neither `Debug`, nor [`Config::redacted`], nor an error shows one.

mod derived;
mod env;
pub mod env_map;
mod error;
mod file;
mod layer;
mod lists;
mod load;
mod print;
mod secret;
mod sections;

pub use env::EnvSource;
pub use error::{ConfigError, Problem, Problems};
pub use layer::Overrides;
pub use load::{Inputs, Loaded, load};
pub use sections::{
    AuditConfig, AuthConfig, BlobsConfig, Config, DataConfig, DbSync, EncryptionConfig, ExecutionConfig,
    HostConfig, LimitsConfig, LogFormat, MessagingConfig, ProvidersConfig, RunnerConfig, S3Config,
    ServerConfig, SessionsConfig, StoreBackend, StoreConfig, TelemetryConfig, ToolMode, UsersConfig,
    WorkflowsConfig, WorkspaceConfig,
};
