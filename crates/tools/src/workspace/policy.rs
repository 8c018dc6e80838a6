//! The policy of one run, read from its variables.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::PathError;
use super::roots::Roots;
use crate::call::Object;

/// How far beyond the workspace root a run may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessMode {
    /// Only below the root.
    #[default]
    WorkspaceOnly,
    /// Also below `workspace_allowed_paths`, as mounts.
    WorkspaceOrAllowed,
    /// Any absolute path outside `workspace_ignored_paths`.
    AllExceptIgnored,
}

impl AccessMode {
    /// Reads the wire value; blank means the default, an unknown one is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "" | "workspace_only" => Some(Self::WorkspaceOnly),
            "workspace_or_allowed" => Some(Self::WorkspaceOrAllowed),
            "all_except_ignored" => Some(Self::AllExceptIgnored),
            _ => None,
        }
    }
}

/// The workspace of one run.
#[derive(Clone, Debug)]
pub struct WorkspacePolicy {
    roots: Roots,
    mode: AccessMode,
}

impl WorkspacePolicy {
    /// Reads `workspace_root`, `workspace_access_mode`, `workspace_allowed_paths` and `workspace_ignored_paths`.
    ///
    /// `None` when the run has no root: nothing is scoped then. The directory itself is made by [`Self::ensure_root`].
    ///
    /// # Errors
    /// [`PathError::InvalidMode`], [`PathError::RootIsFile`].
    pub fn from_vars(vars: &Object) -> Result<Option<Self>, PathError> {
        let text = |key: &str| vars.get(key).and_then(Value::as_str).unwrap_or_default().trim();
        let root = text("workspace_root");
        if root.is_empty() {
            return Ok(None);
        }
        let given = text("workspace_access_mode");
        let mode = AccessMode::parse(given).ok_or_else(|| PathError::InvalidMode {
            mode: given.to_owned(),
        })?;
        let list = |key: &str| vars.get(key).map(path_list).unwrap_or_default();
        let policy = Self::new(
            Path::new(root),
            mode,
            &list("workspace_allowed_paths"),
            &list("workspace_ignored_paths"),
        );
        policy.check_root()?;
        Ok(Some(policy))
    }

    /// A policy from its parts; allowed directories that do not exist are left out.
    #[must_use]
    pub fn new(root: &Path, mode: AccessMode, allowed: &[PathBuf], ignored: &[PathBuf]) -> Self {
        let mut roots = Roots::new(root);
        if mode == AccessMode::WorkspaceOrAllowed {
            for path in allowed.iter().filter(|path| path.is_absolute() && path.is_dir()) {
                let mut name = slug(path);
                if roots
                    .mounts()
                    .iter()
                    .any(|mount| mount.name == name && mount.path != *path)
                {
                    let digest = hex::encode(Sha256::digest(path.to_string_lossy().as_bytes()));
                    name = format!("{name}_{}", &digest[..8]);
                }
                roots = roots.with_mount(&name, path);
            }
        }
        if mode == AccessMode::AllExceptIgnored {
            roots = roots.with_any_absolute();
        }
        for path in ignored {
            roots = roots.with_blocked(path);
        }
        Self { roots, mode }
    }

    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> AccessMode {
        self.mode
    }

    /// The roots, for operations that are not scoped to a run's tools.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The real workspace directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.roots.root()
    }

    /// As [`Roots::resolve`].
    ///
    /// # Errors
    /// As [`Roots::resolve`].
    pub fn resolve(&self, raw: &str) -> Result<PathBuf, PathError> {
        self.roots.resolve(raw)
    }

    /// As [`Roots::virtual_path`].
    #[must_use]
    pub fn virtual_path(&self, path: &Path) -> String {
        self.roots.virtual_path(path)
    }

    /// Makes the workspace directory; called at first use, not at start.
    ///
    /// # Errors
    /// [`PathError::RootIsFile`], [`PathError::RootUnusable`].
    pub fn ensure_root(&self) -> Result<(), PathError> {
        self.check_root()?;
        fs::create_dir_all(self.root()).map_err(|error| PathError::RootUnusable {
            path: self.root().display().to_string(),
            reason: error.to_string(),
        })
    }

    fn check_root(&self) -> Result<(), PathError> {
        if self.root().is_file() {
            return Err(PathError::RootIsFile {
                path: self.root().display().to_string(),
            });
        }
        Ok(())
    }
}

/// Paths from a list, a JSON array as text, or lines of text.
#[must_use]
pub fn path_list(value: &Value) -> Vec<PathBuf> {
    let of_text = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| PathBuf::from(text))
    };
    match value {
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .filter_map(of_text)
            .collect(),
        Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(items) => items.iter().filter_map(|item| of_text(item)).collect(),
            Err(_) => text.lines().filter_map(of_text).collect(),
        },
        _ => Vec::new(),
    }
}

/// Mount name of a directory: its own name, lower case, at most 32 letters, digits, `_` and `-`.
fn slug(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let slug: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(32)
        .collect();
    let slug = slug.trim_matches('_');
    if slug.is_empty() {
        "mount".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vars(value: Value) -> Object {
        serde_json::from_value(value).expect("object")
    }

    #[test]
    fn a_run_without_root_is_not_scoped() {
        for value in [
            json!({}),
            json!({"workspace_root": "  "}),
            json!({"workspace_root": 3}),
        ] {
            assert!(WorkspacePolicy::from_vars(&vars(value)).expect("ok").is_none());
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("f");
        fs::write(&file, "x").expect("write");
        let error = WorkspacePolicy::from_vars(&vars(json!({"workspace_root": file}))).expect_err("file");
        assert!(
            error
                .to_string()
                .starts_with("workspace_root must be a directory (got file): /"),
            "{error}"
        );
        let mode = json!({"workspace_root": dir.path(), "workspace_access_mode": "loose"});
        let error = WorkspacePolicy::from_vars(&vars(mode)).expect_err("mode");
        assert_eq!(error.to_string(), "Invalid workspace_access_mode: loose");
    }

    #[test]
    fn allowed_paths_become_mounts_and_the_root_is_made_late() {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().canonicalize().expect("canonical");
        for sub in ["a/Data Set", "b/Data Set"] {
            fs::create_dir_all(base.join(sub)).expect("dirs");
        }
        let root = base.join("ws/run");
        let policy = WorkspacePolicy::from_vars(&vars(json!({
            "workspace_root": root,
            "workspace_access_mode": "workspace_or_allowed",
            "workspace_allowed_paths": format!("{0}/a/Data Set\n{0}/b/Data Set\n{0}/missing", base.display()),
            "workspace_ignored_paths": ["hidden"],
        })))
        .expect("ok")
        .expect("scoped");
        let names: Vec<&str> = policy
            .roots()
            .mounts()
            .iter()
            .map(|mount| mount.name.as_str())
            .collect();
        assert_eq!(names.len(), 2);
        assert_eq!(names[0], "data_set");
        assert!(names[1].starts_with("data_set_"), "{names:?}");
        assert_eq!(policy.resolve("data_set/x"), Ok(base.join("a/Data Set/x")));
        assert!(matches!(
            policy.resolve("hidden/x"),
            Err(PathError::Blocked { .. })
        ));
        assert!(!root.exists());
        policy.ensure_root().expect("made");
        assert!(root.is_dir());
    }

    #[test]
    fn path_lists_come_in_three_forms() {
        let expected = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        for value in [
            json!(["/a", " /b ", ""]),
            json!("/a\n\n /b"),
            json!("[\"/a\", \"/b\"]"),
        ] {
            assert_eq!(path_list(&value), expected);
        }
        assert!(path_list(&json!(null)).is_empty());
    }
}
