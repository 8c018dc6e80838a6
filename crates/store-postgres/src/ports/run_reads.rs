//! Reads of runs.

use ag_store::{LedgerPage, Listener, RelatedRun, Result, RunFilter, RunListRow, RunReads, RunRow, Tail};
use ag_types::{RunId, RunKey, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::limit as bound;
use crate::{
    rows::{Cursor, narrow, run_head, tenant},
    store::PostgresStore,
};

pub(super) const RUN: &str = tenant!(
    "SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.rev, r.last_seq, \
     r.bundle_sha256, r.status, r.current_node, r.wait_reason, r.wait_key, r.wait_until, r.paused, r.error, \
     r.lifecycle, r.steps, r.llm_calls, r.tool_calls, r.tokens_total, r.updated_at, r.wait, r.vars, r.meta, r.output \
     FROM runs r WHERE r.run_id = $2 AND r.plane_id + 0 = s.plane"
);

/// A run that waits for an event and can take one.
pub(super) const LISTENER: &str = tenant!(
    "SELECT r.run_id, r.workflow_id, r.wait_key FROM runs r \
     WHERE r.plane_id = s.plane AND r.wait_key = $2 AND r.status = 'waiting' AND r.wait_reason = 'event' \
     AND NOT r.paused AND NOT EXISTS (SELECT FROM mail m WHERE m.run_id = r.run_id AND m.plane_id = r.plane_id \
     AND m.kind IN ('resume', 'event', 'child_done')) ORDER BY r.created_at, r.run_id LIMIT 10000"
);

pub(super) const SESSION_LISTENER: &str = tenant!(
    "SELECT r.run_id, r.workflow_id, r.wait_key FROM runs r \
     WHERE r.plane_id = s.plane AND r.session_id = $2 AND r.status = 'waiting' AND r.wait_reason = 'event' \
     AND r.wait_key IS NOT NULL ORDER BY r.created_at, r.run_id LIMIT $3"
);

#[async_trait]
impl RunReads for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.run.run", skip_all)]
    async fn run(&self, scope: &TenantScope, run: RunId) -> Result<Option<RunRow>> {
        let query = sqlx::query(RUN).bind(scope.plane.0).bind(run.0);
        let rows = self.database.read(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut cursor = Cursor::new(row);
        Ok(Some(RunRow {
            head: run_head(&mut cursor)?,
            rev: cursor.int()?,
            last_seq: cursor.long()?,
            bundle_sha256: cursor.opt_shared()?,
            columns: narrow(&mut cursor)?.columns(&mut cursor)?,
        }))
    }

    #[tracing::instrument(level = "debug", name = "store.run.runs", skip_all)]
    async fn runs(&self, scope: &TenantScope, filter: RunFilter) -> Result<Vec<RunListRow>> {
        self.run_list(scope, &filter).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.children", skip_all)]
    async fn children(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>> {
        self.child_runs(scope, run).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.descendants", skip_all)]
    async fn descendants(&self, scope: &TenantScope, run: RunId, limit: usize) -> Result<Vec<RelatedRun>> {
        self.runs_below(scope, run, limit).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.live_below", skip_all)]
    async fn live_below(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>> {
        self.nearest_live(scope, run).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.ledger", skip_all)]
    async fn ledger(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        self.ledger_page(scope, run, after, limit).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.tails", skip_all)]
    async fn tails(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Tail>> {
        self.ledger_tails(keys).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.listeners", skip_all)]
    async fn listeners(&self, scope: &TenantScope, wait_key: &str) -> Result<Vec<Listener>> {
        let query = sqlx::query(LISTENER).bind(scope.plane.0).bind(wait_key);
        let rows = self.database.read(query).await?;
        rows.iter().map(listener).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.run.session_listeners", skip_all)]
    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>> {
        let query = sqlx::query(SESSION_LISTENER)
            .bind(scope.plane.0)
            .bind(session_id)
            .bind(bound(limit));
        let rows = self.database.read(query).await?;
        rows.iter().map(listener).collect()
    }
}

fn listener(row: &PgRow) -> Result<Listener> {
    let mut cursor = Cursor::new(row);
    Ok(Listener {
        run_id: cursor.run_id()?,
        workflow_id: cursor.shared()?,
        wait_key: cursor.shared()?,
    })
}
