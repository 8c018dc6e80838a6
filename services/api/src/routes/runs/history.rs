//! `GET /runs/{run_id}/history_bundle`: a run with the ledgers of its tree, for viewers.

mod artifacts;
mod ledgers;
mod session;
mod snapshot;
mod turn;

use std::collections::HashMap;

use ag_store::{RelatedRun, RunRow};
use ag_types::{RunId, Timestamp};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::vars::{Reserved, TopLevel};
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{Reader, boolean, int, string},
};

/// Descendants shown.
const MAX_DESCENDANTS: usize = 5_000;

/// What to bundle.
pub(super) struct GetHistoryBundle {
    run_id: String,
    include_subruns: bool,
    include_session: bool,
    session_turn_limit: i64,
    ledger_mode: String,
    ledger_max_items: i64,
}

impl Request for GetHistoryBundle {
    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut query = reader.query();
        Self {
            run_id,
            include_subruns: query.or("include_subruns", boolean(), true),
            include_session: query.or("include_session", boolean(), false),
            session_turn_limit: query.or("session_turn_limit", int().ge(1).le(500), 200),
            ledger_mode: query.or("ledger_mode", string(), "tail"),
            ledger_max_items: query.or("ledger_max_items", int().ge(0).le(20_000), 2_000),
        }
    }
}

#[derive(Serialize)]
struct HistoryBundle<'a> {
    version: u8,
    generated_at: Timestamp,
    root_run_id: String,
    run: Brief<'a>,
    workflow_snapshot: Option<Value>,
    input_data: TopLevel<'a>,
    ledgers: ledgers::Ledgers<'a>,
    timeline: Vec<ledgers::Moment<'a>>,
    session: Option<session::Session>,
}

/// The run itself; the wait with all nine keys.
#[derive(Serialize)]
struct Brief<'a> {
    run_id: String,
    workflow_id: &'a str,
    status: &'static str,
    current_node: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    actor_id: Option<&'a str>,
    session_id: Option<&'a str>,
    parent_run_id: Option<String>,
    error: Option<&'a str>,
    waiting: Option<&'a RawValue>,
}

impl<'a> Brief<'a> {
    fn new(row: &'a RunRow) -> Self {
        let (head, columns) = (&row.head, &row.columns);
        Self {
            run_id: head.run_id.to_string(),
            workflow_id: &head.workflow_id,
            status: columns.status.as_str(),
            current_node: &columns.current_node,
            created_at: head.created_at,
            updated_at: columns.updated_at,
            actor_id: head.actor_id.as_deref(),
            session_id: head.session_id.as_deref(),
            parent_run_id: head.parent_run_id.map(|run| run.to_string()),
            error: columns.error.as_deref(),
            waiting: columns
                .wait
                .as_deref()
                .and_then(|wait| serde_json::from_str(wait).ok()),
        }
    }
}

/// Bundles a run.
pub(super) async fn get_run_history_bundle(
    ctx: CallContext,
    Input(asked): Input<GetHistoryBundle>,
) -> ApiResult<Response> {
    let tail = match asked.ledger_mode.trim().to_lowercase().as_str() {
        "tail" => usize::try_from(asked.ledger_max_items)
            .ok()
            .filter(|items| *items > 0),
        "full" => None,
        _ => return Err(ApiError::bad_request("ledger_mode must be 'tail' or 'full'")),
    };
    // The reference quotes this detail twice.
    let absent = || ApiError::not_found(format!("\"Run '{}' not found\"", asked.run_id));
    let run: RunId = asked.run_id.parse().map_err(|_| absent())?;
    let row = ctx.store().run(ctx.scope(), run).await?.ok_or_else(absent)?;
    let below = match asked.include_subruns {
        true => ctx.store().descendants(ctx.scope(), run, MAX_DESCENDANTS).await?,
        false => Vec::new(),
    };
    let runs: Vec<(RunId, i64)> = tree(&row, &below).collect();
    let pages = ledgers::read(&ctx, &runs, tail).await?;
    let ids: Vec<String> = runs.iter().map(|(run, _)| run.to_string()).collect();
    let mut artifacts = artifacts::of_runs(&ctx, ids).await?;
    let (ledgers, timeline) = ledgers::shown(&runs, &pages, &mut artifacts);
    let vars = Reserved::read(&row.columns.vars);
    let snapshot = match vars.workflow_snapshot() {
        Some(stored) => Some(stored),
        None => snapshot::derive(&ctx, &row).await,
    };
    let session = match (asked.include_session, row.head.session_id.as_deref()) {
        (true, Some(session)) => {
            let limit = usize::try_from(asked.session_turn_limit).unwrap_or_default();
            Some(session::turns(&ctx, session, row.head.created_at, limit).await?)
        }
        _ => None,
    };
    let bundle = HistoryBundle {
        version: 1,
        generated_at: ctx.now(),
        root_run_id: run.to_string(),
        run: Brief::new(&row),
        workflow_snapshot: snapshot,
        input_data: TopLevel::read(&row.columns.vars).keep(|name| !name.starts_with('_')),
        ledgers,
        timeline,
        session,
    };
    Ok(Json(bundle).into_response())
}

/// Root and descendants with the lengths of their ledgers.
fn tree<'a>(root: &'a RunRow, below: &'a [RelatedRun]) -> impl Iterator<Item = (RunId, i64)> + 'a {
    let root = (root.head.run_id, root.last_seq);
    std::iter::once(root).chain(below.iter().map(|run| (run.head.run_id, run.last_seq)))
}

/// Artifact summaries by run.
type ArtifactsByRun = HashMap<String, Vec<Value>>;
