//! `GET /runs/{run_id}`: where a run stands (runs contract §1.1).

use ag_engine::lifecycle;
use ag_store::{OwnerRow, RunRow};
use ag_types::{Object, Timestamp, Wait};
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    lookup::{self, Subject},
    vars::Reserved,
};
use crate::{
    ApiResult, CallContext, Input, Request,
    input::{Reader, string},
};

/// A run in the path.
pub(super) struct OneRun {
    pub(super) run_id: String,
}

impl Request for OneRun {
    fn read(reader: &mut Reader) -> Self {
        Self {
            run_id: reader.path().required("run_id", string()),
        }
    }
}

/// Shows one run.
pub(super) async fn get_run(ctx: CallContext, Input(asked): Input<OneRun>) -> ApiResult<Json<RunSummary>> {
    Ok(Json(match lookup::subject(&ctx, &asked.run_id).await? {
        Subject::Run(row) => RunSummary::of_run(&row),
        Subject::Owner(owner) => RunSummary::of_owner(&owner),
    }))
}

/// The summary, keys in the contract's order.
#[derive(Debug, Serialize)]
pub(super) struct RunSummary {
    run_id: String,
    workflow_id: String,
    status: &'static str,
    current_node: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    actor_id: Option<String>,
    session_id: Option<String>,
    parent_run_id: Option<String>,
    error: Option<String>,
    flow_warnings: Option<Vec<String>>,
    paused: bool,
    pause_reason: Option<Value>,
    paused_at: Option<Value>,
    resumed_at: Option<Value>,
    waiting: Option<Waiting>,
    is_scheduled: bool,
    schedule: Option<Object>,
    limits: Option<Value>,
    run_lifecycle: Option<Object>,
    is_draft: bool,
}

/// A wait without what concerns only the engine.
#[derive(Debug, Serialize)]
struct Waiting {
    reason: &'static str,
    wait_key: Option<String>,
    until: Option<Timestamp>,
    prompt: Option<String>,
    choices: Option<Value>,
    allow_free_text: bool,
    details: Option<Value>,
}

impl From<Wait> for Waiting {
    fn from(wait: Wait) -> Self {
        Self {
            reason: wait.reason.as_str(),
            wait_key: wait.wait_key,
            until: wait.until,
            prompt: wait.prompt,
            choices: wait.choices,
            allow_free_text: wait.allow_free_text,
            details: wait.details,
        }
    }
}

impl RunSummary {
    pub(super) fn of_run(row: &RunRow) -> Self {
        let (head, columns) = (&row.head, &row.columns);
        let vars = Reserved::read(&columns.vars);
        let control = vars.control();
        let control = |key: &str| control.as_ref().and_then(|control| control.get(key)).cloned();
        let text = |key: &str| control(key).filter(Value::is_string);
        let wait = columns
            .wait
            .as_deref()
            .and_then(|wait| serde_json::from_str::<Wait>(wait).ok());
        let schedule = vars.schedule().map(schedule);
        let run_lifecycle = vars.lifecycle();
        Self {
            run_id: head.run_id.to_string(),
            workflow_id: head.workflow_id.to_string(),
            status: columns.status.as_str(),
            current_node: columns.current_node.clone(),
            created_at: head.created_at,
            updated_at: columns.updated_at,
            actor_id: head.actor_id.as_deref().map(str::to_owned),
            session_id: head.session_id.as_deref().map(str::to_owned),
            parent_run_id: head.parent_run_id.map(|run| run.to_string()),
            error: columns.error.clone(),
            flow_warnings: vars.warnings(),
            paused: control("paused") == Some(Value::Bool(true)),
            pause_reason: text("pause_reason"),
            paused_at: text("paused_at"),
            resumed_at: text("resumed_at"),
            waiting: wait.map(Waiting::from),
            is_scheduled: schedule.is_some() || is_wrapper(&head.workflow_id),
            schedule,
            limits: vars.limits().as_ref().map(limits),
            is_draft: run_lifecycle.as_ref().is_some_and(lifecycle::is_draft),
            run_lifecycle,
        }
    }

    fn of_owner(owner: &OwnerRow) -> Self {
        Self {
            run_id: owner.owner_id.clone(),
            workflow_id: lookup::owner_workflow(owner).to_owned(),
            status: "completed",
            current_node: "done".to_owned(),
            created_at: owner.created_at,
            updated_at: owner.updated_at,
            actor_id: None,
            session_id: owner.session_id.clone(),
            parent_run_id: None,
            error: None,
            flow_warnings: None,
            paused: false,
            pause_reason: None,
            paused_at: None,
            resumed_at: None,
            waiting: None,
            is_scheduled: false,
            schedule: None,
            limits: Some(limits(&json!({}))),
            run_lifecycle: None,
            is_draft: false,
        }
    }
}

/// Whether a workflow is the wrapper of a schedule.
pub(super) fn is_wrapper(workflow_id: &str) -> bool {
    workflow_id.starts_with("scheduled:")
}

fn schedule(stored: Value) -> Object {
    const KEYS: [&str; 11] = [
        "kind",
        "interval",
        "repeat_count",
        "repeat_until",
        "start_at",
        "share_context",
        "target_workflow_id",
        "target_bundle_ref",
        "target_flow_id",
        "created_at",
        "updated_at",
    ];
    KEYS.into_iter()
        .map(|key| (key.to_owned(), stored.get(key).cloned().unwrap_or_default()))
        .collect()
}

/// Use of the token budget. `pct` is a share of the input budget, else of the whole one.
fn limits(stored: &Value) -> Value {
    let number = |key: &str| {
        stored
            .get(key)
            .filter(|value| value.is_number())
            .cloned()
            .unwrap_or_default()
    };
    let used = number("estimated_tokens_used");
    let (max, max_input) = (number("max_tokens"), number("max_input_tokens"));
    let budget = [&max_input, &max]
        .into_iter()
        .filter_map(Value::as_f64)
        .find(|budget| *budget > 0.0);
    let pct = budget.zip(used.as_f64()).map(|(budget, used)| used / budget);
    json!({"tokens": {
        "estimated_used": used,
        "max_tokens": max,
        "max_input_tokens": max_input,
        "pct": pct,
        "warn_tokens_pct": number("warn_tokens_pct"),
    }})
}
