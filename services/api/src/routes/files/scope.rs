//! Which folders a request may name (artifacts contract §6).

use std::path::PathBuf;

use ag_config::Config;
use ag_tools::workspace::{AccessMode, Roots, WorkspacePolicy, path_list};

use crate::{
    input::{Fields, string},
    workspace::{operator_root, operator_roots},
};

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
        let mut text = |name| {
            fields
                .optional(name, string())
                .filter(|text| !text.trim().is_empty())
        };
        Self {
            root: text("workspace_root"),
            mode: text("workspace_access_mode"),
            allowed: text("workspace_allowed_paths"),
            ignored: text("workspace_ignored_paths"),
        }
    }

    fn is_blank(&self) -> bool {
        [&self.root, &self.mode, &self.allowed, &self.ignored]
            .into_iter()
            .all(Option::is_none)
    }

    /// The roots in force.
    pub(crate) fn roots(&self, config: &Config) -> Roots {
        if self.is_blank() || !config.client_scope_overrides() {
            return operator_roots(config);
        }
        let base = self
            .root
            .as_deref()
            .map_or_else(|| operator_root(config), |root| PathBuf::from(root.trim()));
        let mode = AccessMode::parse(self.mode.as_deref().unwrap_or_default()).unwrap_or_default();
        let paths = |text: &Option<String>| {
            text.as_deref()
                .map(|text| path_list(&text.into()))
                .unwrap_or_default()
        };
        let policy = WorkspacePolicy::new(&base, mode, &paths(&self.allowed), &paths(&self.ignored));
        policy.roots().clone()
    }
}
