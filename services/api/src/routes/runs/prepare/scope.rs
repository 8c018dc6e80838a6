//! The workspace fields of a start, clamped to what the operator opened (files contract §6).

use std::{path::PathBuf, sync::Arc};

use ag_config::Config;
use ag_tools::workspace::{Roots, path_list};
use ag_types::Object;
use serde_json::Value;

use crate::{ApiError, ApiResult, workspace};

/// Field and its other spelling.
const FIELDS: [(&str, &str); 4] = [
    ("workspace_root", "workspaceRoot"),
    ("workspace_access_mode", "workspaceAccessMode"),
    ("workspace_allowed_paths", "workspaceAllowedPaths"),
    ("workspace_ignored_paths", "workspaceIgnoredPaths"),
];

/// Clamps the fields. Looks at the file system only if there are any.
pub(super) async fn clamp(config: &Arc<Config>, mut vars: Object) -> ApiResult<Object> {
    let mut any = false;
    for (name, alias) in FIELDS {
        if let Some(value) = vars.shift_remove(alias) {
            vars.entry(name).or_insert(value);
        }
        any |= vars.contains_key(name);
    }
    if !any || config.client_scope_overrides() {
        return Ok(vars);
    }
    let config = config.clone();
    let clamped = tokio::task::spawn_blocking(move || {
        clamp_to(&workspace::run_roots(&config), &mut vars);
        vars
    });
    clamped
        .await
        .map_err(|error| ApiError::internal("workspace clamp", &error))
}

fn clamp_to(roots: &Roots, vars: &mut Object) {
    let root = vars.shift_remove("workspace_root");
    let root = root
        .as_ref()
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty());
    if let Some(inside) = root.and_then(|root| inside(roots, root.into())) {
        vars.insert("workspace_root".to_owned(), inside.to_string_lossy().into());
    }
    let mode = vars
        .get("workspace_access_mode")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if mode.trim().eq_ignore_ascii_case("all_except_ignored") {
        vars.insert("workspace_access_mode".to_owned(), "workspace_only".into());
    }
    if let Some(allowed) = vars.shift_remove("workspace_allowed_paths") {
        let kept = path_list(&allowed)
            .into_iter()
            .filter_map(|path| inside(roots, path));
        let kept: Vec<String> = kept.map(|path| path.to_string_lossy().into_owned()).collect();
        if !kept.is_empty() {
            let value = if allowed.is_array() {
                Value::from(kept)
            } else {
                Value::from(kept.join("\n"))
            };
            vars.insert("workspace_allowed_paths".to_owned(), value);
        }
    }
    if let Some(ignored) = vars.shift_remove("workspace_ignored_paths") {
        let texts: Vec<String> = path_list(&ignored)
            .into_iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        if !texts.is_empty() {
            vars.insert("workspace_ignored_paths".to_owned(), texts.join("\n").into());
        }
    }
}

/// The real path of something below the roots; relative ones count from the operator's root.
fn inside(roots: &Roots, path: PathBuf) -> Option<PathBuf> {
    let path = roots.root().join(path);
    // A path of its own root is settled: absolute, links followed as far as it exists.
    let real = Roots::new(&path).root().to_owned();
    roots.allows_real(&real).then_some(real)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn clamped(roots: &Roots, vars: Value) -> Value {
        let Value::Object(mut vars) = vars else {
            panic!("object")
        };
        clamp_to(roots, &mut vars);
        Value::Object(vars)
    }

    #[test]
    fn only_what_the_operator_opened_remains() {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().canonicalize().expect("real path");
        for sub in ["ws/a", "mnt", "out"] {
            std::fs::create_dir_all(base.join(sub)).expect("dir");
        }
        std::os::unix::fs::symlink(base.join("out"), base.join("ws/link")).expect("link");
        let roots = Roots::new(&base.join("ws")).with_mount("mnt", &base.join("mnt"));
        let at = |sub: &str| base.join(sub).to_string_lossy().into_owned();
        for (given, expected) in [
            (
                json!({"workspace_root": "a"}),
                json!({"workspace_root": at("ws/a")}),
            ),
            (
                json!({"workspace_root": at("mnt/new")}),
                json!({"workspace_root": at("mnt/new")}),
            ),
            (json!({"workspace_root": at("out")}), json!({})),
            (json!({"workspace_root": "../out"}), json!({})),
            (json!({"workspace_root": "link"}), json!({})),
            (json!({"workspace_root": 7}), json!({})),
            (
                json!({"workspace_access_mode": "all_except_ignored"}),
                json!({"workspace_access_mode": "workspace_only"}),
            ),
            (
                json!({"workspace_allowed_paths": [at("mnt"), at("out"), "a"]}),
                json!({"workspace_allowed_paths": [at("mnt"), at("ws/a")]}),
            ),
            (
                json!({"workspace_allowed_paths": format!("{}\n{}", at("out"), at("mnt"))}),
                json!({"workspace_allowed_paths": at("mnt")}),
            ),
            (json!({"workspace_allowed_paths": at("out")}), json!({})),
            (
                json!({"workspace_ignored_paths": ["x", "y"]}),
                json!({"workspace_ignored_paths": "x\ny"}),
            ),
        ] {
            assert_eq!(clamped(&roots, given.clone()), expected, "{given}");
        }
    }

    #[tokio::test]
    async fn aliases_are_understood_and_overrides_drop_nothing() {
        let mut config = Config::default();
        config.workspace.allow_client_scope = true;
        let Value::Object(vars) = json!({"workspaceRoot": "/anywhere", "x": 1}) else {
            panic!("object")
        };
        let vars = clamp(&Arc::new(config), vars).await.expect("clamped");
        assert_eq!(
            Value::Object(vars),
            json!({"x": 1, "workspace_root": "/anywhere"})
        );
    }
}
