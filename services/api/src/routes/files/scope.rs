//! Which folders a request may name (artifacts contract §6).

use std::path::{Path, PathBuf};

use ag_config::{Config, StoreBackend};
use ag_tools::workspace::{AccessMode, Roots, WorkspacePolicy, path_list};

use crate::input::{Fields, string};

/// Longest name of a mount.
const MAX_MOUNT_NAME: usize = 32;

/// The four scope fields; they count only where the operator lets clients choose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    root: Option<String>,
    mode: Option<String>,
    allowed: Option<String>,
    ignored: Option<String>,
}

impl Scope {
    /// Reads the fields of a query or body.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Self {
        let mut text = |name| fields.optional(name, string()).filter(|text| !text.trim().is_empty());
        Self {
            root: text("workspace_root"),
            mode: text("workspace_access_mode"),
            allowed: text("workspace_allowed_paths"),
            ignored: text("workspace_ignored_paths"),
        }
    }

    fn is_blank(&self) -> bool {
        [&self.root, &self.mode, &self.allowed, &self.ignored].into_iter().all(Option::is_none)
    }

    /// The roots in force.
    pub(crate) fn roots(&self, config: &Config) -> Roots {
        if self.is_blank() || !config.client_scope_overrides() {
            return operator_roots(config);
        }
        let base = self.root.as_deref().map_or_else(|| base(config), |root| PathBuf::from(root.trim()));
        let mode = AccessMode::parse(self.mode.as_deref().unwrap_or_default()).unwrap_or_default();
        let paths = |text: &Option<String>| text.as_deref().map(|text| path_list(&text.into())).unwrap_or_default();
        let policy = WorkspacePolicy::new(&base, mode, &paths(&self.allowed), &paths(&self.ignored));
        policy.roots().clone()
    }
}

/// The operator's root and mounts.
fn operator_roots(config: &Config) -> Roots {
    let mut roots = Roots::new(&base(config));
    for (name, path) in mounts(config) {
        roots = roots.with_mount(name, path);
    }
    roots
}

/// `ABSTRACTGATEWAY_WORKSPACE_DIR`; else, on one's own machine, the folder the gateway was started in; else the folder
/// of the run workspaces. The top of the file system is nobody's workspace.
fn base(config: &Config) -> PathBuf {
    if let Some(dir) = &config.workspace.dir {
        return dir.clone();
    }
    let embedded = config.store_backend() == StoreBackend::Sqlite;
    let current = std::env::current_dir().ok().filter(|dir| embedded && dir.parent().is_some());
    current.unwrap_or_else(|| config.workspaces_root())
}

/// Usable lines of `ABSTRACTGATEWAY_WORKSPACE_MOUNTS`; others are named once in the log and left out.
pub(super) fn mounts(config: &Config) -> impl Iterator<Item = (&str, &Path)> {
    let lines = config.workspace.mounts.as_deref().unwrap_or_default().lines();
    lines.map(str::trim).filter(|line| !line.is_empty()).filter_map(|line| {
        let mount = mount(line);
        if mount.is_none() {
            tracing::debug!("skipping an unusable workspace mount");
        }
        mount
    })
}

fn mount(line: &str) -> Option<(&str, &Path)> {
    let (name, path) = line.split_once('=')?;
    let (name, path) = (name.trim(), Path::new(path.trim()));
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let named = !name.is_empty() && name.len() <= MAX_MOUNT_NAME && name.chars().all(allowed);
    (named && path.is_absolute() && path.is_dir()).then_some((name, path))
}
