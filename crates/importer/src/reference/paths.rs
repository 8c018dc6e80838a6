//! Absolute paths inside runs: they name folders of the old host.

use std::path::{Path, PathBuf};

use ag_types::Object;
use serde_json::Value;

/// Where workspaces were and are.
#[derive(Debug, Clone)]
pub(super) struct PathRewrite {
    /// Data folder of the plane as it lies now, absolute.
    source: PathBuf,
    /// Where its workspaces lie after the import.
    workspaces: PathBuf,
}

/// Variables that hold one path, or several as lines or a list.
const PATH_VARS: [&str; 3] = [
    "workspace_root",
    "workspace_allowed_paths",
    "workspace_ignored_paths",
];

impl PathRewrite {
    pub(super) fn new(source: &Path, workspaces: &Path) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            source: absolute(source),
            workspaces: absolute(workspaces),
        }
    }

    /// Rewrites the variables of a run; whether one changed.
    pub(super) fn vars(&self, vars: &mut Object) -> bool {
        let mut changed = false;
        for name in PATH_VARS {
            match vars.get_mut(name) {
                Some(Value::String(text)) => changed |= self.lines(text),
                Some(Value::Array(items)) => {
                    for item in items {
                        if let Value::String(text) = item {
                            changed |= self.lines(text);
                        }
                    }
                }
                _ => {}
            }
        }
        changed
    }

    /// Puts the new root in the place of the old one, wherever a live run has noted a path below it: arguments of calls
    /// that wait for consent, say.
    pub(super) fn everywhere(old: &str, new: &str, value: &mut Value) {
        match value {
            Value::String(text) if text.contains(old) => *text = text.replace(old, new),
            Value::Array(items) => items.iter_mut().for_each(|item| Self::everywhere(old, new, item)),
            Value::Object(map) => map.values_mut().for_each(|item| Self::everywhere(old, new, item)),
            _ => {}
        }
    }

    fn lines(&self, text: &mut String) -> bool {
        let rewritten: Vec<String> = text
            .split('\n')
            .map(|line| self.path(line).unwrap_or_else(|| line.to_owned()))
            .collect();
        let rewritten = rewritten.join("\n");
        let changed = rewritten != *text;
        *text = rewritten;
        changed
    }

    /// A path below `…/workspaces/<32 hex>` of this plane, wherever the folder stood then.
    fn path(&self, path: &str) -> Option<String> {
        let normal = path.replace('\\', "/");
        let (_, rest) = normal.rsplit_once("/workspaces/")?;
        let name = rest.split('/').next().unwrap_or_default();
        let is_workspace = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_workspace || !self.source.join("workspaces").join(name).is_dir() {
            return None;
        }
        Some(self.workspaces.join(rest).to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn workspaces_move_and_other_paths_stay() {
        let folder = tempfile::tempdir().expect("folder");
        let name = "0123456789abcdef0123456789abcdef";
        std::fs::create_dir_all(folder.path().join("workspaces").join(name)).expect("made");
        let rewrite = PathRewrite::new(folder.path(), Path::new("/new/workspaces"));
        let mut vars = json!({
            "workspace_root": format!("/old/host/data/workspaces/{name}"),
            "workspace_allowed_paths": [format!("/old/workspaces/{name}/sub"), "/srv/shared"],
            "workspace_ignored_paths": format!("/srv/x\n/old/workspaces/{name}"),
            "other": format!("/old/workspaces/{name}"),
        });
        let vars = vars.as_object_mut().expect("object");
        assert!(rewrite.vars(vars));
        assert_eq!(vars["workspace_root"], format!("/new/workspaces/{name}"));
        assert_eq!(
            vars["workspace_allowed_paths"],
            json!([format!("/new/workspaces/{name}/sub"), "/srv/shared"])
        );
        assert_eq!(
            vars["workspace_ignored_paths"],
            format!("/srv/x\n/new/workspaces/{name}")
        );
        assert_eq!(vars["other"], format!("/old/workspaces/{name}"));
        assert!(!rewrite.vars(vars) || folder.path().starts_with("/new"));
        let mut noted = json!({"calls": [{"file": "/old/a/t.txt"}], "n": 1});
        PathRewrite::everywhere("/old/a", "/new/b", &mut noted);
        assert_eq!(noted, json!({"calls": [{"file": "/new/b/t.txt"}], "n": 1}));
        let mut absent = json!({"workspace_root": "/old/workspaces/ffffffffffffffffffffffffffffffff"});
        assert!(!rewrite.vars(absent.as_object_mut().expect("object")));
    }
}
