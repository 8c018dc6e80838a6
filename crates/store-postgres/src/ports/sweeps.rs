//! Reconcilers: at most 500 rows each, rows that somebody else works on are left to the next sweep. Rows are changed
//! by their place (`ctid`), and locked in no order, so that no plan can walk an index for them: who skips what is locked
//! cannot take part in a deadlock.

use ag_store::{Result, Sweep, Woken};
use ag_types::{RunId, TenantScope};
use uuid::Uuid;

use super::woken;
use crate::store::PostgresStore;

pub(super) const TIMERS: &str = "WITH n AS MATERIALIZED (SELECT coalesce($1, clock_timestamp()) AS t), \
     due AS MATERIALIZED (SELECT ctid AS place, wake_at FROM run_heads WHERE wake_at <= (SELECT t FROM n) \
     ORDER BY wake_at, run_id LIMIT 500 FOR UPDATE SKIP LOCKED), \
     woken AS (UPDATE run_heads h SET wake_at = NULL, \
     ready_at = CASE WHEN h.owner IS NULL THEN coalesce(h.ready_at, (SELECT t FROM n)) END \
     FROM due d WHERE h.ctid = d.place \
     RETURNING h.run_id, h.plane_id, h.pool, h.owner, d.wake_at) \
     SELECT run_id, plane_id, pool FROM woken WHERE owner IS NULL ORDER BY wake_at, run_id, plane_id";

const EXPIRE: &str =
    "UPDATE runner_sessions SET dead = true WHERE NOT dead AND expires_at <= coalesce($1, clock_timestamp())";

pub(super) const ORPHANS: &str = "WITH k AS MATERIALIZED (SELECT h.ctid AS place \
     FROM runner_sessions s CROSS JOIN LATERAL (SELECT d.ctid FROM run_heads d WHERE d.owner = s.session_id \
      FOR UPDATE SKIP LOCKED) h WHERE s.dead LIMIT 500), \
     woken AS (UPDATE run_heads h SET owner = NULL, preempt_at = NULL, ready_at = coalesce($1, clock_timestamp()), \
     crashes = CASE WHEN h.crashes = 0 OR h.driven_epoch = h.epoch \
     THEN least(h.crashes + 1, 32767)::smallint ELSE h.crashes END \
     FROM k WHERE h.ctid = k.place RETURNING h.run_id, h.plane_id, h.pool) \
     SELECT run_id, plane_id, pool FROM woken ORDER BY run_id, plane_id";

/// Dead sessions are remembered for an hour, so that a late renewal is refused rather than unknown.
const FORGET: &str = "DELETE FROM runner_sessions s WHERE s.dead \
     AND s.expires_at < coalesce($1, clock_timestamp()) - interval '1 hour' \
     AND NOT EXISTS (SELECT FROM run_heads h WHERE h.owner = s.session_id)";

pub(super) const CANCELS: &str = "WITH k AS MATERIALIZED (SELECT ctid AS place FROM run_heads \
     WHERE preempt_at < (SELECT coalesce($1, clock_timestamp())) \
     LIMIT 500 FOR UPDATE SKIP LOCKED), \
     woken AS (UPDATE run_heads h SET owner = NULL, preempt_at = NULL, \
     ready_at = coalesce(h.ready_at, $1, clock_timestamp()) \
     FROM k WHERE h.ctid = k.place RETURNING h.run_id, h.plane_id, h.pool) \
     SELECT run_id, plane_id, pool FROM woken ORDER BY run_id, plane_id";

/// The same for some runs of one plane, by key. What is locked is being obeyed or taken over.
pub(super) const TAKE_OVER: &str = "WITH k AS MATERIALIZED (SELECT h.place FROM unnest($2::uuid[]) r(run) \
     CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d WHERE d.run_id = r.run AND d.plane_id = $3 \
      AND coalesce(d.preempt_at, 'infinity') < coalesce($1, clock_timestamp()) \
      FOR UPDATE SKIP LOCKED) h), \
     woken AS (UPDATE run_heads h SET owner = NULL, preempt_at = NULL, \
     ready_at = coalesce(h.ready_at, $1, clock_timestamp()) \
     FROM k WHERE h.ctid = k.place RETURNING h.run_id, h.plane_id, h.pool) \
     SELECT run_id, plane_id, pool FROM woken ORDER BY run_id, plane_id";

impl PostgresStore {
    pub(super) async fn take_over_ignored(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>> {
        let runs: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let query = sqlx::query(TAKE_OVER)
            .bind(self.database.now())
            .bind(runs)
            .bind(scope.plane.0);
        woken(&self.database.write_in(scope, query).await?.rows)
    }

    pub(super) async fn reconcile(&self, sweep: Sweep) -> Result<Vec<Woken>> {
        match sweep {
            Sweep::Timers => self.take(TIMERS).await,
            Sweep::Cancels => self.take(CANCELS).await,
            Sweep::Sessions => {
                self.settle(EXPIRE).await?;
                // A later statement: claims that began before the session died have ended or are skipped.
                let orphans = self.take(ORPHANS).await?;
                self.settle(FORGET).await?;
                Ok(orphans)
            }
        }
    }

    async fn settle(&self, statement: &'static str) -> Result<()> {
        let query = sqlx::query(statement).bind(self.database.now());
        self.database.write(query).await?;
        Ok(())
    }

    async fn take(&self, statement: &'static str) -> Result<Vec<Woken>> {
        let query = sqlx::query(statement).bind(self.database.now());
        let done = self.database.write(query).await?;
        woken(&done.rows)
    }
}
