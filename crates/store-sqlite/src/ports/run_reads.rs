//! Reads of runs.

use ag_store::{LedgerPage, Listener, RelatedRun, Result, RunFilter, RunListRow, RunReads, RunRow, Tail};
use ag_types::{RunId, RunKey, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    error::store_error,
    rows::{Cursor, HEAD_COLUMNS, STATE_COLUMNS, run_columns, run_head},
    sql::{args, text},
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
        static SQL: std::sync::LazyLock<std::sync::Arc<str>> = std::sync::LazyLock::new(|| {
            format!(
                "SELECT {HEAD_COLUMNS}, r.rev, r.last_seq, r.bundle_sha256, {STATE_COLUMNS} FROM runs r \
                 WHERE r.run_id = ? AND r.plane_id = ?"
            )
            .into()
        });
        let mut reader = self.reader().await?;
        let row = sqlx::query_with(text(&SQL), args([run.into(), scope.plane.into()])?)
            .fetch_optional(&mut *reader)
            .await
            .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let mut cursor = Cursor::new(&row);
        Ok(Some(RunRow {
            head: run_head(&mut cursor)?,
            rev: cursor.int32()?,
            last_seq: cursor.int()?,
            bundle_sha256: cursor.opt_shared()?,
            columns: run_columns(&mut cursor)?,
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
        let mut reader = self.reader().await?;
        let query = sqlx::query(LISTENER).bind(scope.plane.0).bind(wait_key);
        let rows = query.fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.iter().map(listener).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.run.session_listeners", skip_all)]
    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut reader = self.reader().await?;
        let query = sqlx::query(SESSION_LISTENER)
            .bind(scope.plane.0)
            .bind(session_id)
            .bind(limit);
        let rows = query.fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.iter().map(listener).collect()
    }
}

fn listener(row: &SqliteRow) -> Result<Listener> {
    let mut cursor = Cursor::new(row);
    Ok(Listener {
        run_id: cursor.run_id()?,
        workflow_id: cursor.shared()?,
        wait_key: cursor.shared()?,
    })
}
