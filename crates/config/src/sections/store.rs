//! `[store]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{DataConfig, Problems, derived, secret};

/// The database.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite` or `postgres`. Unset: Postgres if a database URL is set, else SQLite. Since v0.1.0.
    pub backend: Option<StoreBackend>,
    /// The SQLite file, below the data directory. Default `<DATA_DIR>/gateway.sqlite3`. Since v0.1.0.
    pub db_path: Option<PathBuf>,
    /// How far a SQLite commit waits for the disk. Since v0.1.0.
    pub db_sync: DbSync,
    /// Postgres connection URL. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub database_url: Option<SecretString>,
    /// File that holds the connection URL. Since v0.1.0.
    pub database_url_file: Option<PathBuf>,
}

/// The database in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreBackend {
    /// Embedded: one process, one file.
    Sqlite,
    /// Cluster.
    Postgres,
}

/// How far a SQLite commit waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DbSync {
    /// Survives a power cut.
    #[default]
    Full,
    /// Survives a crash of the process; a power cut may undo the last commits.
    Normal,
}

impl StoreConfig {
    pub(crate) fn validate(&self, data: &DataConfig, problems: &mut Problems) {
        if let Some(path) = &self.db_path
            && !derived::lies_under(path, &data.dir)
        {
            problems.add(
                "store.db_path",
                format!("must lie under the data directory {}", data.dir.display()),
            );
        }
        match &self.database_url {
            Some(url) => {
                let url = url.expose_secret();
                if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                    problems.add(
                        "store.database_url",
                        "must start with postgres:// or postgresql://",
                    );
                }
            }
            None if self.backend == Some(StoreBackend::Postgres) => {
                problems.add(
                    "store.database_url",
                    "is needed by store.backend = postgres (ABSTRACTGATEWAY_DATABASE_URL)",
                );
            }
            None => {}
        }
    }
}
