//! Which workspace a run has, and whether it may have it (effects spec §8, architecture D17).
//!
//! The start of a run clamps its settings already, but flows can write any variable afterwards. So the same rule is
//! applied again where files are touched.

use std::path::{Path, PathBuf};

use ag_tools::workspace::{AccessMode, Roots, WorkspacePolicy, path_list};
use ag_types::{Object, RunId};
use serde_json::Value;

/// The variables that describe a workspace.
pub const WORKSPACE_SETTINGS: [&str; 4] = [
    "workspace_root",
    "workspace_access_mode",
    "workspace_allowed_paths",
    "workspace_ignored_paths",
];

/// The workspaces of this host.
#[derive(Debug, Clone)]
pub struct Workspaces {
    /// Parent of the directories of runs that name none.
    home: PathBuf,
    /// Roots that runs may name, with all below them; `None` where clients choose freely.
    roots: Option<Vec<PathBuf>>,
}

impl Workspaces {
    /// Runs may use any directory: for hosts whose clients are trusted with the machine.
    pub fn open(home: &Path) -> Self {
        Self {
            home: real(home),
            roots: None,
        }
    }

    /// Runs may use directories below `home`, and `roots` with all below them.
    pub fn confined(home: &Path, roots: &[PathBuf]) -> Self {
        Self {
            home: real(home),
            roots: Some(roots.iter().map(|root| real(root)).collect()),
        }
    }

    /// The settings among the variables of a run, without the rest.
    pub fn settings(vars: &Object) -> Object {
        WORKSPACE_SETTINGS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), vars.get(*key)?.clone())))
            .collect()
    }

    /// The policy for `settings`. Reads the file system: for blocking threads. The directory is not made.
    ///
    /// # Errors
    /// The contract's text for settings that cannot be used.
    pub fn policy(&self, settings: &Object, run: RunId) -> Result<WorkspacePolicy, String> {
        let policy = match WorkspacePolicy::from_vars(settings).map_err(|error| error.to_string())? {
            Some(policy) => policy,
            None => return Ok(self.own(settings, run)),
        };
        let Some(roots) = &self.roots else {
            return Ok(policy);
        };
        if !self.permits(roots, policy.root()) {
            return Err(format!(
                "workspace_root is outside workspace roots: {}",
                policy.root().display()
            ));
        }
        // The parts of the policy that reach beyond its root are made anew from what is permitted.
        let mode = match policy.mode() {
            AccessMode::AllExceptIgnored => AccessMode::WorkspaceOnly,
            mode => mode,
        };
        let list = |key: &str| settings.get(key).map(path_list).unwrap_or_default();
        let mut allowed = list("workspace_allowed_paths");
        allowed.retain(|path| self.permits(roots, &real(path)));
        Ok(WorkspacePolicy::new(
            policy.root(),
            mode,
            &allowed,
            &list("workspace_ignored_paths"),
        ))
    }

    fn own(&self, settings: &Object, run: RunId) -> WorkspacePolicy {
        let ignored = settings
            .get("workspace_ignored_paths")
            .map(path_list)
            .unwrap_or_default();
        WorkspacePolicy::new(
            &self.home.join(run.0.simple().to_string()),
            AccessMode::WorkspaceOnly,
            &[],
            &ignored,
        )
    }

    fn permits(&self, roots: &[PathBuf], path: &Path) -> bool {
        // The home itself holds the workspaces of others.
        (path.starts_with(&self.home) && path != self.home) || roots.iter().any(|root| path.starts_with(root))
    }
}

/// A setting as the object that [`Workspaces::policy`] reads.
pub(crate) fn scope_of(args: &Value) -> Object {
    args.get("scope")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// Real as far as it exists.
fn real(path: &Path) -> PathBuf {
    Roots::new(path).root().to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_confined_run_stays_below_the_permitted_roots() {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().canonicalize().expect("canonical");
        for sub in ["home/other", "root/sub", "secret"] {
            std::fs::create_dir_all(base.join(sub)).expect("dirs");
        }
        std::os::unix::fs::symlink(base.join("secret"), base.join("root/link")).expect("link");
        let run: RunId = "8d6899dd-0000-4000-8000-000000000001".parse().expect("id");
        let confined = Workspaces::confined(&base.join("home"), &[base.join("root")]);
        let open = Workspaces::open(&base.join("home"));
        for (root, permitted) in [
            ("root", true),
            ("root/sub", true),
            ("root/new", true),
            ("home/other", true),
            ("home", false),
            ("secret", false),
            ("root/link", false),
            ("root/../secret", false),
        ] {
            let settings = object(json!({"workspace_root": base.join(root)}));
            assert_eq!(confined.policy(&settings, run).is_ok(), permitted, "{root}");
            assert!(open.policy(&settings, run).is_ok(), "{root}");
        }
        let wide =
            json!({"workspace_root": base.join("root"), "workspace_access_mode": "all_except_ignored"});
        assert!(
            confined
                .policy(&object(wide.clone()), run)
                .expect("policy")
                .resolve("/etc")
                .is_err()
        );
        assert!(
            open.policy(&object(wide), run)
                .expect("policy")
                .resolve("/etc")
                .is_ok()
        );
        let mounts = json!({"workspace_root": base.join("root/sub"), "workspace_access_mode": "workspace_or_allowed",
            "workspace_allowed_paths": [base.join("secret"), base.join("root")]});
        let policy = confined.policy(&object(mounts), run).expect("policy");
        assert_eq!(policy.roots().mounts().len(), 1);
        assert!(policy.resolve(&base.join("secret/x").to_string_lossy()).is_err());
    }

    #[test]
    fn a_run_without_a_root_has_its_own_directory() {
        let dir = tempfile::tempdir().expect("tempdir");
        let run: RunId = "8d6899dd-0000-4000-8000-000000000001".parse().expect("id");
        let workspaces = Workspaces::open(dir.path());
        let policy = workspaces.policy(&Object::new(), run).expect("policy");
        assert!(
            policy.root().ends_with("8d6899dd000040008000000000000001"),
            "{}",
            policy.root().display()
        );
        assert!(!policy.root().exists());
        let error = workspaces.policy(
            &object(json!({"workspace_root": "/x", "workspace_access_mode": "y"})),
            run,
        );
        assert_eq!(error.expect_err("mode"), "Invalid workspace_access_mode: y");
    }
}
