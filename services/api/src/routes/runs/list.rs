//! `GET /runs`.

use ag_engine::lifecycle;
use ag_store::{RunFilter, RunListRow};
use ag_types::{RunStatus, Timestamp};
use axum::Json;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::summary::is_wrapper;
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{Reader, boolean, int, string},
};

/// Which runs to list.
pub(super) struct ListRuns {
    limit: i64,
    status: Option<String>,
    workflow_id: Option<String>,
    session_id: Option<String>,
    root_only: bool,
    include_ledger_len: bool,
    include_metrics: bool,
    include_drafts: bool,
}

impl Request for ListRuns {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            limit: query.or("limit", int().ge(1).le(500), 50),
            status: query.optional("status", string()),
            workflow_id: query.optional("workflow_id", string()),
            session_id: query.optional("session_id", string()),
            root_only: query.or("root_only", boolean(), false),
            include_ledger_len: query.or("include_ledger_len", boolean(), true),
            include_metrics: query.or("include_metrics", boolean(), false),
            include_drafts: query.or("include_drafts", boolean(), false),
        }
    }
}

#[derive(Serialize)]
pub(super) struct RunList {
    items: Vec<Item>,
}

/// A line of the list, filled from columns; what only the run's state says is null here.
#[derive(Serialize)]
struct Item {
    run_id: String,
    workflow_id: String,
    status: &'static str,
    current_node: Option<&'static str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    actor_id: Option<String>,
    session_id: Option<String>,
    parent_run_id: Option<String>,
    error: Option<&'static str>,
    paused: bool,
    pause_reason: Option<&'static str>,
    paused_at: Option<&'static str>,
    resumed_at: Option<&'static str>,
    waiting: Option<Waiting>,
    is_scheduled: bool,
    schedule: Option<&'static str>,
    limits: Option<&'static str>,
    run_lifecycle: Option<Box<RawValue>>,
    is_draft: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_len: Option<i64>,
    #[serde(flatten)]
    metrics: Option<Metrics>,
}

#[derive(Serialize)]
struct Waiting {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// Sums of the run's own ledger; null until a record is completed.
#[derive(Serialize)]
struct Metrics {
    steps: Option<i32>,
    llm_calls: Option<i32>,
    tool_calls: Option<i32>,
    tokens_total: Option<i64>,
}

/// Lists runs.
pub(super) async fn list_runs(ctx: CallContext, Input(asked): Input<ListRuns>) -> ApiResult<Json<RunList>> {
    let filled = |text: Option<String>| {
        text.map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let filter = RunFilter {
        status: filled(asked.status).map(|text| status(&text)).transpose()?,
        workflow_id: filled(asked.workflow_id),
        session_id: filled(asked.session_id),
        root_only: asked.root_only,
        include_drafts: asked.include_drafts,
        created_until: None,
        limit: usize::try_from(asked.limit).unwrap_or_default(),
    };
    // Text columns hold no U+0000, so nothing equals a filter with one.
    if [&filter.workflow_id, &filter.session_id]
        .into_iter()
        .flatten()
        .any(|text| text.contains('\0'))
    {
        return Ok(Json(RunList { items: Vec::new() }));
    }
    let rows = ctx.store().runs(ctx.scope(), filter).await?;
    let item = |row| Item::new(row, asked.include_ledger_len, asked.include_metrics);
    Ok(Json(RunList {
        items: rows.into_iter().map(item).collect(),
    }))
}

fn status(text: &str) -> ApiResult<RunStatus> {
    RunStatus::parse(&text.to_lowercase()).ok_or_else(|| {
        ApiError::bad_request("Invalid status (expected: running|waiting|completed|failed|cancelled)")
    })
}

impl Item {
    fn new(row: RunListRow, with_length: bool, with_metrics: bool) -> Self {
        let head = row.head;
        let is_draft = row.lifecycle.as_deref().is_some_and(|lifecycle| {
            serde_json::from_str::<Value>(lifecycle)
                .ok()
                .and_then(|value| value.as_object().map(lifecycle::is_draft))
                .unwrap_or_default()
        });
        let sums = row.counters;
        let any = sums.steps > 0;
        Self {
            run_id: head.run_id.to_string(),
            is_scheduled: is_wrapper(&head.workflow_id),
            workflow_id: head.workflow_id.to_string(),
            status: row.status.as_str(),
            current_node: None,
            created_at: head.created_at,
            updated_at: row.updated_at,
            actor_id: head.actor_id.as_deref().map(str::to_owned),
            session_id: head.session_id.as_deref().map(str::to_owned),
            parent_run_id: head.parent_run_id.map(|run| run.to_string()),
            error: None,
            paused: false,
            pause_reason: None,
            paused_at: None,
            resumed_at: None,
            waiting: row.wait_reason.map(|reason| Waiting {
                reason: reason.as_str(),
                until: row.wait_until,
            }),
            schedule: None,
            limits: None,
            run_lifecycle: row
                .lifecycle
                .and_then(|text| RawValue::from_string(text.to_string()).ok()),
            is_draft,
            ledger_len: with_length.then_some(row.last_seq),
            metrics: with_metrics.then_some(Metrics {
                steps: any.then_some(sums.steps),
                llm_calls: any.then_some(sums.llm_calls),
                tool_calls: any.then_some(sums.tool_calls),
                tokens_total: any.then_some(sums.tokens_total),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_any_case() {
        assert_eq!(status("Running"), Ok(RunStatus::Running));
        assert_eq!(
            status("gone").expect_err("unknown").status(),
            http::StatusCode::BAD_REQUEST
        );
    }
}
