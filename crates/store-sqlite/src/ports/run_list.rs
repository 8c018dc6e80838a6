//! The run list.

use ag_store::{Result, RunFilter, RunListRow};
use ag_types::TenantScope;
use sqlx::{QueryBuilder, Sqlite, sqlite::SqliteRow};

use crate::{
    error::store_error,
    rows::{Cursor, HEAD_COLUMNS, counters, run_head},
    store::SqliteStore,
};

impl SqliteStore {
    pub(super) async fn run_list(&self, scope: &TenantScope, filter: &RunFilter) -> Result<Vec<RunListRow>> {
        let mut query = filtered(scope, filter);
        let mut reader = self.reader().await?;
        let rows = query.build().fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.iter().map(list_row).collect()
    }
}

/// Few filters, so few texts: they stay in the statement cache.
fn filtered(scope: &TenantScope, filter: &RunFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT ");
    query
        .push(HEAD_COLUMNS)
        .push(
            ", r.status, r.wait_reason, r.wait_until, r.lifecycle, r.updated_at, r.last_seq, \
             r.steps, r.llm_calls, r.tool_calls, r.tokens_total FROM runs r WHERE r.plane_id = ",
        )
        .push_bind(scope.plane.0);
    if let Some(status) = filter.status {
        query.push(" AND r.status = ").push_bind(status.as_str());
    }
    match &filter.workflow_id {
        Some(workflow) => query.push(" AND r.workflow_id = ").push_bind(workflow.clone()),
        None => query.push(" AND substr(r.workflow_id, 1, 2) <> '__'"),
    };
    if let Some(session) = &filter.session_id {
        query.push(" AND r.session_id = ").push_bind(session.clone());
    }
    if filter.root_only {
        query.push(" AND r.parent_run_id IS NULL");
    }
    if !filter.include_drafts {
        query.push(
            " AND (r.lifecycle IS NULL OR NOT json_valid(r.lifecycle) \
             OR json_extract(r.lifecycle, '$.purpose') IS NOT 'draft_test')",
        );
    }
    if let Some(until) = filter.created_until {
        query.push(" AND r.created_at <= ").push_bind(until.as_micros());
    }
    query
        .push(" ORDER BY r.updated_at DESC, r.run_id LIMIT ")
        .push_bind(i64::try_from(filter.limit).unwrap_or(i64::MAX));
    query
}

fn list_row(row: &SqliteRow) -> Result<RunListRow> {
    let mut cursor = Cursor::new(row);
    Ok(RunListRow {
        head: run_head(&mut cursor)?,
        status: cursor.status()?,
        wait_reason: cursor.wait_reason()?,
        wait_until: cursor.opt_time()?,
        lifecycle: cursor.opt_shared()?,
        updated_at: cursor.time()?,
        last_seq: cursor.int()?,
        counters: counters(&mut cursor)?,
    })
}
