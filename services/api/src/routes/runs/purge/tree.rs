//! Deleting the tree of a run: artifacts, then rows, then workspaces. A crash in between leaves what a second call
//! finds again, because the runs go last among the rows.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use ag_store::RunRow;
use ag_types::RunId;
use serde_json::{Value, json};

use crate::{ApiResult, CallContext, routes::runs::vars::Reserved};

/// Largest tree that is purged.
const MAX_TREE: usize = 5_000;
/// What a workspace says about itself.
const MARKER: &str = ".abstractgateway-workspace.json";

/// What to delete.
#[derive(Debug, Clone, Copy)]
pub(super) struct What {
    pub(super) dry_run: bool,
    pub(super) include_active: bool,
    pub(super) artifacts: bool,
    pub(super) workspaces: bool,
}

/// Purges a tree; says what was or would be deleted, and whether it was refused because something in it lives.
pub(super) async fn purge(ctx: &CallContext, root: &RunRow, what: What) -> ApiResult<(Value, bool)> {
    let below = ctx
        .store()
        .descendants(ctx.scope(), root.head.run_id, MAX_TREE)
        .await?;
    let mut runs: Vec<RunId> = vec![root.head.run_id];
    runs.extend(below.iter().map(|run| run.head.run_id));
    let ids: Vec<String> = runs.iter().map(RunId::to_string).collect();
    let active = below
        .iter()
        .filter(|run| !run.status.is_terminal())
        .map(|run| run.head.run_id.to_string());
    let active: Vec<String> = active.collect();
    if !active.is_empty() && !what.include_active {
        let reason = "active_run_tree";
        let refused =
            json!({"ok": false, "skipped": true, "reason": reason, "run_ids": ids, "active_run_ids": active});
        return Ok((refused, true));
    }
    let workspaces = match what.workspaces {
        true => workspaces(ctx, root, &runs).await?,
        false => Vec::new(),
    };
    if what.dry_run {
        let would = json!({
            "runs": ids.len(), "workspaces": workspaces.len(),
            "artifacts": null, "ledger_records": null, "commands": null,
        });
        return Ok((
            json!({"ok": true, "dry_run": true, "run_ids": ids, "would_delete": would}),
            false,
        ));
    }
    let (artifacts, unused) = match what.artifacts {
        true => ctx.store().delete_artifacts_of(ctx.scope(), &ids).await?,
        false => (0, Vec::new()),
    };
    runs.reverse();
    let (deleted_runs, records, commands) = ctx.store().purge_runs(ctx.scope(), &runs).await?;
    let mut removed = 0_u64;
    for path in workspaces {
        match tokio::fs::remove_dir_all(&path).await {
            Ok(()) => removed += 1,
            Err(error) => tracing::warn!(error = %error, "a workspace could not be removed"),
        }
    }
    // Bytes that no row names any more are left to the collection of old blobs: deleting them here would race with
    // a writer that has just stored the same content.
    let gc = what.artifacts.then(|| {
        json!({
            "dry_run": false, "blobs_total": unused.len(), "blobs_referenced": 0, "blobs_deleted": 0,
            "bytes_reclaimed": 0, "errors": [],
        })
    });
    let deleted = json!({
        "runs": deleted_runs, "ledger_records": records, "commands": commands,
        "artifacts": artifacts, "workspaces": removed,
    });
    let done = json!({"ok": true, "dry_run": false, "run_ids": ids, "deleted": deleted, "artifact_gc": gc});
    Ok((done, false))
}

/// Workspaces of the tree that are ours to delete.
async fn workspaces(ctx: &CallContext, root: &RunRow, runs: &[RunId]) -> ApiResult<Vec<PathBuf>> {
    let mut named = HashSet::new();
    named.extend(Reserved::read(&root.columns.vars).workspace_root());
    for run in &runs[1..] {
        if let Some(row) = ctx.store().run(ctx.scope(), *run).await? {
            named.extend(Reserved::read(&row.columns.vars).workspace_root());
        }
    }
    let base = ctx.state().config().workspaces_root();
    let ids: HashSet<String> = runs.iter().map(RunId::to_string).collect();
    let ours = tokio::task::spawn_blocking(move || {
        named
            .into_iter()
            .filter_map(|path| owned(&base, Path::new(&path), &ids))
            .collect()
    });
    Ok(ours.await.unwrap_or_default())
}

/// A directory right below the folder of workspaces, whose marker names a run of the tree; without a marker, one
/// with the name of a generated workspace.
fn owned(base: &Path, path: &Path, runs: &HashSet<String>) -> Option<PathBuf> {
    let (base, path) = (base.canonicalize().ok()?, path.canonicalize().ok()?);
    if path.parent() != Some(base.as_path()) || !path.is_dir() {
        return None;
    }
    let ours = match std::fs::read(path.join(MARKER)) {
        Ok(marker) => {
            let marker: Value = serde_json::from_slice(&marker).unwrap_or_default();
            marker["owner"] == "abstractgateway"
                && marker["run_id"].as_str().is_some_and(|run| runs.contains(run))
        }
        Err(_) => {
            let name = path.file_name()?.to_str()?;
            name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
    };
    ours.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_workspaces_are_deleted() {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().join("workspaces");
        let generated = "0123456789abcdef0123456789abcdef";
        for name in [
            generated,
            "marked",
            "foreign",
            "plain",
            "deep/0123456789abcdef0123456789abcdef",
        ] {
            std::fs::create_dir_all(base.join(name)).expect("dir");
        }
        let mark = |name: &str, run: &str| {
            let text =
                json!({"owner": "abstractgateway", "kind": "run_workspace", "run_id": run}).to_string();
            std::fs::write(base.join(name).join(MARKER), text).expect("marker");
        };
        mark("marked", "r1");
        mark("foreign", "r9");
        let runs = HashSet::from(["r1".to_owned()]);
        for (name, expected) in [
            (generated, true),
            ("marked", true),
            ("foreign", false),
            ("plain", false),
            ("absent", false),
            ("deep/0123456789abcdef0123456789abcdef", false),
            ("..", false),
            (".", false),
        ] {
            assert_eq!(
                owned(&base, &base.join(name), &runs).is_some(),
                expected,
                "{name}"
            );
        }
    }
}
