//! Reads of runs.

use ag_store::{LedgerPage, Listener, RelatedRun, Result, RunFilter, RunListRow, RunReads, RunRow, Tail};
use ag_types::{RunId, RunKey, SystemScope, TenantScope};
use async_trait::async_trait;

use super::count;
use crate::{
    db::Value,
    rows::{Cursor, HEAD_COLUMNS, STATE_COLUMNS, run_columns, run_head},
    store::SqliteStore,
};

/// A run that waits for an event and can take one.
pub(super) const LISTENER: &str = "SELECT r.run_id, r.workflow_id, r.wait_key FROM runs r \
     WHERE r.plane_id = ? AND r.wait_key = ? AND r.status = 'waiting' AND r.wait_reason = 'event' AND r.paused = 0 \
     AND NOT EXISTS (SELECT 1 FROM mail m WHERE m.run_id = r.run_id AND m.plane_id = r.plane_id \
     AND m.kind IN ('resume', 'event', 'child_done')) ORDER BY r.created_at, r.run_id LIMIT 10000";

pub(super) const SESSION_LISTENER: &str = "SELECT r.run_id, r.workflow_id, r.wait_key FROM runs r \
     WHERE r.plane_id = ? AND r.session_id = ? AND r.status = 'waiting' AND r.wait_reason = 'event' \
     AND r.wait_key IS NOT NULL ORDER BY r.created_at, r.run_id LIMIT ?";

#[async_trait]
impl RunReads for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.run.run", skip_all)]
    async fn run(&self, scope: &TenantScope, run: RunId) -> Result<Option<RunRow>> {
        static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            format!(
                "SELECT {HEAD_COLUMNS}, r.rev, r.last_seq, r.bundle_sha256, {STATE_COLUMNS} FROM runs r \
                 WHERE r.run_id = ? AND r.plane_id = ?"
            )
        });
        let values = [run.into(), scope.plane.into()];
        self.read(|db| db.first(&SQL, &values, run_row))
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
        self.ledger_page(scope, run, after, limit)
    }

    #[tracing::instrument(level = "debug", name = "store.run.tails", skip_all)]
    async fn tails(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Tail>> {
        self.ledger_tails(keys)
    }

    #[tracing::instrument(level = "debug", name = "store.run.listeners", skip_all)]
    async fn listeners(&self, scope: &TenantScope, wait_key: &str) -> Result<Vec<Listener>> {
        let values = [scope.plane.into(), Value::text(wait_key)];
        self.scan(move |db| db.all(LISTENER, &values, listener)).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.session_listeners", skip_all)]
    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>> {
        let values = [scope.plane.into(), Value::text(session_id), count(limit).into()];
        self.scan(move |db| db.all(SESSION_LISTENER, &values, listener))
            .await
    }
}

fn run_row(cursor: &mut Cursor<'_>) -> Result<RunRow> {
    Ok(RunRow {
        head: run_head(cursor)?,
        rev: cursor.int32()?,
        last_seq: cursor.int()?,
        bundle_sha256: cursor.opt_shared()?,
        columns: run_columns(cursor)?,
    })
}

fn listener(cursor: &mut Cursor<'_>) -> Result<Listener> {
    Ok(Listener {
        run_id: cursor.run_id()?,
        workflow_id: cursor.shared()?,
        wait_key: cursor.shared()?,
    })
}
