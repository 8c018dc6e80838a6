//! Paths and choices that follow from several keys.

use std::path::{Component, Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::{Config, StoreBackend, ToolMode};

impl Config {
    /// The store in use: the configured one, else Postgres if a database URL is set, else SQLite.
    #[must_use]
    pub fn store_backend(&self) -> StoreBackend {
        self.store.backend.unwrap_or(match self.store.database_url {
            Some(_) => StoreBackend::Postgres,
            None => StoreBackend::Sqlite,
        })
    }

    /// `<DATA_DIR>/<name>`.
    #[must_use]
    pub fn data_path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.data.dir.join(name)
    }

    /// The SQLite file, always below the data directory (validated).
    #[must_use]
    pub fn db_path(&self) -> PathBuf {
        self.store
            .db_path
            .clone()
            .unwrap_or_else(|| self.data_path("gateway.sqlite3"))
    }

    /// Where the embedded store keeps the encryption keys when none are configured; created if missing.
    #[must_use]
    pub fn encryption_keys_file(&self) -> PathBuf {
        self.encryption
            .keys_file
            .clone()
            .unwrap_or_else(|| self.data_path("auth/encryption-keys"))
    }

    /// Root of the run workspaces, the same on every node that touches files.
    #[must_use]
    pub fn workspaces_root(&self) -> PathBuf {
        self.workspace
            .root
            .clone()
            .unwrap_or_else(|| self.data_path("workspaces"))
    }

    /// The user registry of the reference.
    #[must_use]
    pub fn users_file(&self) -> PathBuf {
        self.users
            .file
            .clone()
            .unwrap_or_else(|| self.data_path("auth/users.json"))
    }

    /// The browser sessions of the reference.
    #[must_use]
    pub fn sessions_file(&self) -> PathBuf {
        self.sessions
            .file
            .clone()
            .unwrap_or_else(|| self.data_path("auth/sessions.json"))
    }

    /// Where the session signing secret is kept when none is configured; created if missing.
    #[must_use]
    pub fn session_secret_file(&self) -> PathBuf {
        self.sessions
            .secret_file
            .clone()
            .unwrap_or_else(|| self.data_path("auth/session_secret"))
    }

    /// Where the bootstrap admin's token is written.
    #[must_use]
    pub fn bootstrap_token_file(&self) -> PathBuf {
        self.users
            .bootstrap_token_file
            .clone()
            .unwrap_or_else(|| self.data_path("auth/bootstrap-admin-token"))
    }

    /// Where the workflow policy key is kept when none is configured; created if missing.
    #[must_use]
    pub fn policy_secret_file(&self) -> PathBuf {
        self.workflows
            .policy_secret_file
            .clone()
            .unwrap_or_else(|| self.data_path(".workflow_policy_secret"))
    }

    /// The workflow catalogue of the reference.
    #[must_use]
    pub fn catalog_file(&self) -> PathBuf {
        self.workflows
            .catalog_file
            .clone()
            .unwrap_or_else(|| self.data_path("workflow_catalog.json"))
    }

    /// Bundles of the workflow catalogue of the reference.
    #[must_use]
    pub fn catalog_bundles_dir(&self) -> PathBuf {
        let default = || self.data_path("workflow_catalog/bundles");
        self.workflows.catalog_bundles_dir.clone().unwrap_or_else(default)
    }

    /// The audit log, one for all principals.
    #[must_use]
    pub fn audit_file(&self) -> PathBuf {
        self.data_path("audit_log.jsonl")
    }

    /// Whether users mode is on. `users_file_exists` matters only with `users.auto`.
    ///
    /// Order of the contract (`core-security.md` section 2): the explicit switch, else the mode name, else the
    /// automatic rule.
    #[must_use]
    pub fn users_mode(&self, users_file_exists: bool) -> bool {
        if let Some(enabled) = self.users.enabled {
            return enabled;
        }
        match self.users.mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("user" | "users" | "multi-user" | "multi_user" | "hosted") => return true,
            Some("legacy" | "single" | "single-user" | "single_user" | "local") => return false,
            _ => {}
        }
        self.users.auto && users_file_exists
    }

    /// Whether a shared token is configured.
    #[must_use]
    pub fn has_shared_token(&self) -> bool {
        self.shared_token_lists().any(|list| {
            list.expose_secret()
                .split(',')
                .any(|item| !item.trim().is_empty())
        })
    }

    /// The comma lists of shared tokens.
    pub fn shared_token_lists(&self) -> impl Iterator<Item = &SecretString> {
        self.auth.token.iter().chain(&self.auth.tokens)
    }

    /// Whether clients may choose the workspace of their runs (`core-artifacts-files.md`, overrides).
    #[must_use]
    pub fn client_scope_overrides(&self) -> bool {
        let switched = self.workspace.allow_client_scope || self.workspace.trust_client_scope;
        switched || self.execution.mode() == ToolMode::Local
    }

    /// The address to bind: the configured host; else all addresses if somebody set up authentication, and
    /// loopback only if nobody did.
    #[must_use]
    pub fn bind_host(&self, users_mode: bool) -> &str {
        match &self.server.host {
            Some(host) => host,
            None if self.auth.security && (self.has_shared_token() || users_mode) => "0.0.0.0",
            None => "127.0.0.1",
        }
    }
}

/// Whether `path` lies below `dir`, by names alone: neither needs to exist.
pub(crate) fn lies_under(path: &Path, dir: &Path) -> bool {
    match (absolute(path), absolute(dir)) {
        (Some(path), Some(dir)) => path != dir && path.starts_with(&dir),
        _ => false,
    }
}

/// Absolute, with `.` and `..` taken out by name.
fn absolute(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    Some(out)
}
