//! The run list.

use ag_store::{Result, RunFilter, RunListRow};
use ag_types::TenantScope;

use super::count;
use crate::{
    db::Query,
    rows::{Cursor, HEAD_COLUMNS, counters, run_head},
    store::SqliteStore,
};

impl SqliteStore {
    pub(super) async fn run_list(&self, scope: &TenantScope, filter: &RunFilter) -> Result<Vec<RunListRow>> {
        let query = filtered(scope, filter);
        self.scan(move |db| db.query(&query, list_row)).await
    }
}

fn filtered(scope: &TenantScope, filter: &RunFilter) -> Query {
    let mut query = Query::new("SELECT ");
    query
        .push(HEAD_COLUMNS)
        .push(
            ", r.status, r.wait_reason, r.wait_until, r.lifecycle, r.updated_at, r.last_seq, \
             r.steps, r.llm_calls, r.tool_calls, r.tokens_total FROM runs r WHERE r.plane_id = ",
        )
        .bind(scope.plane);
    if let Some(status) = filter.status {
        query.push(" AND r.status = ").bind(status.as_str());
    }
    match &filter.workflow_id {
        Some(workflow) => query.push(" AND r.workflow_id = ").bind(workflow),
        None => query.push(" AND substr(r.workflow_id, 1, 2) <> '__'"),
    };
    if let Some(session) = &filter.session_id {
        query.push(" AND r.session_id = ").bind(session);
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
        query.push(" AND r.created_at <= ").bind(until);
    }
    query
        .push(" ORDER BY r.updated_at DESC, r.run_id LIMIT ")
        .bind(count(filter.limit));
    query
}

fn list_row(cursor: &mut Cursor<'_>) -> Result<RunListRow> {
    Ok(RunListRow {
        head: run_head(cursor)?,
        status: cursor.status()?,
        wait_reason: cursor.wait_reason()?,
        wait_until: cursor.opt_time()?,
        lifecycle: cursor.opt_shared()?,
        updated_at: cursor.time()?,
        last_seq: cursor.int()?,
        counters: counters(cursor)?,
    })
}
