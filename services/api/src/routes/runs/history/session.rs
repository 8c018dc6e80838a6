//! Turns of a session: its root runs up to the one that is looked at.

use ag_store::{RunFilter, RunRow};
use ag_types::Timestamp;
use serde::Serialize;

use super::turn::{self, Turn};
use crate::{ApiResult, CallContext};

/// Root runs of a session that are looked at; the list is ordered by change, turns are by creation.
const MAX_ROOTS: usize = 2_000;

#[derive(Serialize)]
pub(super) struct Session {
    session_id: String,
    turns: Vec<Turn>,
}

/// The last turns, the oldest first. In a session with chat only chat turns are kept.
pub(super) async fn turns(
    ctx: &CallContext,
    session: &str,
    until: Timestamp,
    limit: usize,
) -> ApiResult<Session> {
    let filter = RunFilter {
        session_id: Some(session.to_owned()),
        root_only: true,
        include_drafts: true,
        created_until: Some(until),
        limit: MAX_ROOTS,
        ..RunFilter::default()
    };
    let mut roots = ctx.store().runs(ctx.scope(), filter).await?;
    roots.retain(|row| !row.head.workflow_id.starts_with("__"));
    roots.sort_by_key(|row| (row.head.created_at, row.head.run_id));
    let first = roots.len().saturating_sub(limit);
    let mut rows: Vec<(RunRow, turn::Kind)> = Vec::new();
    for root in roots.drain(first..) {
        if let Some(row) = ctx.store().run(ctx.scope(), root.head.run_id).await? {
            let kind = turn::kind(&row);
            rows.push((row, kind));
        }
    }
    if rows.iter().any(|(_, kind)| *kind == turn::Kind::Chat) {
        rows.retain(|(_, kind)| *kind == turn::Kind::Chat);
    }
    let mut turns = Vec::with_capacity(rows.len());
    for (row, kind) in rows {
        turns.push(turn::show(ctx, &row, kind).await?);
    }
    Ok(Session {
        session_id: session.to_owned(),
        turns,
    })
}
