//! Setting imported runs in motion.

use std::sync::Arc;

use ag_engine::traces;
use ag_store::{ImportWake, MailKind, RunRow};
use ag_types::{RunId, RunStatus};
use serde_json::{Value, json};

use super::apply::{Step, WRITE};
use crate::ImportError;

/// Runs in one transaction.
const CHUNK: usize = 1_000;

fn live(step: &Step) -> Vec<RunId> {
    let runs = step.plan.runs.iter();
    let mut live: Vec<RunId> = runs
        .filter(|(_, info)| !info.status.is_terminal())
        .map(|(run, _)| *run)
        .collect();
    live.sort();
    live
}

/// Heads at rest for all live runs; how many are new.
pub(super) async fn heads(step: &Step) -> Result<u64, ImportError> {
    let pool: Arc<str> = "default".into();
    let mut made = 0;
    for chunk in live(step).chunks(CHUNK) {
        let heads: Vec<(RunId, Arc<str>)> = chunk.iter().map(|run| (*run, pool.clone())).collect();
        ag_failpoints::hit_of(WRITE, &["heads"]);
        made += step.target.imports.import_heads(&step.scope, &heads).await?;
    }
    Ok(made)
}

/// Timers, readiness, and the ends of children that nobody told their parents.
pub(super) async fn set_off(step: &Step) -> Result<(), ImportError> {
    for chunk in live(step).chunks(CHUNK) {
        let mut wakes = Vec::new();
        for run in chunk {
            let Some(info) = step.plan.runs.get(run) else {
                continue;
            };
            let mut mail = Vec::new();
            if let Some((child, include_traces)) = info.waits_for
                && let Some(body) = end_of_child(step, child, include_traces).await?
            {
                mail.push((MailKind::ChildDone, body));
            }
            let wake = ImportWake {
                run: *run,
                ready: info.status == RunStatus::Running,
                wake_at: info.wake_at.filter(|_| !info.paused),
                mail,
            };
            if wake.ready || wake.wake_at.is_some() || !wake.mail.is_empty() {
                wakes.push(wake);
            }
        }
        if !wakes.is_empty() {
            ag_failpoints::hit_of(WRITE, &["wakes"]);
            step.target.imports.import_wakes(&step.scope, &wakes).await?;
        }
    }
    Ok(())
}

/// The news of an ended child, as its own last commit would have told it.
async fn end_of_child(step: &Step, child: RunId, traces: bool) -> Result<Option<Arc<str>>, ImportError> {
    let ended = step
        .plan
        .runs
        .get(&child)
        .is_some_and(|info| info.status.is_terminal());
    if !ended {
        return Ok(None);
    }
    let store = &step.target.deps.store;
    let Some(row) = store.run(&step.scope, child).await? else {
        return Ok(None);
    };
    let Some(output) = output(&row) else {
        return Ok(None);
    };
    let mut body = json!({"sub_run_id": child.to_string(), "output": output});
    if traces {
        body["node_traces"] = traces::of_run(&**store, &step.scope, child, &[]).await?;
    }
    Ok(Some(body.to_string().into()))
}

fn output(row: &RunRow) -> Option<Value> {
    let columns = &row.columns;
    match columns.status {
        RunStatus::Completed => {
            let output: Value = columns
                .output
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            Some(if output.is_object() {
                output
            } else {
                json!({"result": output})
            })
        }
        RunStatus::Failed => Some(json!({"result": null, "success": false, "error": columns.error})),
        RunStatus::Cancelled => {
            Some(json!({"result": null, "success": false, "cancelled": true, "error": columns.error}))
        }
        RunStatus::Running | RunStatus::Waiting => None,
    }
}
