//! The run list.

use ag_store::{Result, RunFilter, RunListRow};
use ag_types::TenantScope;
use sqlx::postgres::PgRow;

use super::limit;
use crate::{
    rows::{Cursor, TenantQuery, counters, run_head},
    stamp::Stamp,
    store::PostgresStore,
};

impl PostgresStore {
    pub(super) async fn run_list(&self, scope: &TenantScope, filter: &RunFilter) -> Result<Vec<RunListRow>> {
        let mut query = filtered(scope, filter);
        let rows = self.database.read(query.build()).await?;
        rows.iter().map(list_row).collect()
    }
}

/// Few filters, so few texts: they stay in the statement cache.
fn filtered(scope: &TenantScope, filter: &RunFilter) -> TenantQuery {
    let mut query = TenantQuery::new(
        scope,
        "SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.status, \
         r.wait_reason, r.wait_until, r.lifecycle, r.updated_at, r.last_seq, r.steps, r.llm_calls, r.tool_calls, \
         r.tokens_total FROM runs r WHERE r.plane_id = s.plane",
    );
    if let Some(status) = filter.status {
        query.push(" AND r.status = ").bind(status.as_str());
    }
    match &filter.workflow_id {
        Some(workflow) => query.push(" AND r.workflow_id = ").bind(workflow.clone()),
        None => query.push(" AND left(r.workflow_id, 2) <> '__'"),
    };
    if let Some(session) = &filter.session_id {
        query.push(" AND r.session_id = ").bind(session.clone());
    }
    if filter.root_only {
        query.push(" AND r.parent_run_id IS NULL");
    }
    if !filter.include_drafts {
        // Only a text that names the purpose is read as JSON.
        query.push(
            " AND CASE WHEN r.lifecycle LIKE '%draft_test%' \
             THEN lifecycle_purpose(r.lifecycle) IS DISTINCT FROM 'draft_test' ELSE true END",
        );
    }
    if let Some(until) = filter.created_until {
        query.push(" AND r.created_at <= ").bind(Stamp(until));
    }
    // The runs of a session are found by its index and sorted; in the order of the plane all runs would be looked at.
    query.push(match filter.session_id {
        Some(_) => " ORDER BY r.updated_at + interval '0' DESC, r.run_id LIMIT ",
        None => " ORDER BY r.updated_at DESC, r.run_id LIMIT ",
    });
    query.bind(limit(filter.limit));
    query
}

fn list_row(row: &PgRow) -> Result<RunListRow> {
    let mut cursor = Cursor::new(row);
    Ok(RunListRow {
        head: run_head(&mut cursor)?,
        status: cursor.status()?,
        wait_reason: cursor.wait_reason()?,
        wait_until: cursor.opt_time()?,
        lifecycle: cursor.opt_shared()?,
        updated_at: cursor.time()?,
        last_seq: cursor.long()?,
        counters: counters(&mut cursor)?,
    })
}
