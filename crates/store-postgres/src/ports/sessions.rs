//! Sessions of runners. The lease is on their row; all arithmetic uses the time of the database.

use ag_store::{NewSession, Result, Woken};
use ag_types::{RunKey, SessionId};
use uuid::Uuid;

use super::woken;
use crate::{rows::Cursor, store::PostgresStore};

const OPEN: &str = "INSERT INTO runner_sessions (session_id, pool, node, expires_at) \
     VALUES ($1, $2, $3, coalesce($4, clock_timestamp()) + interval '15 seconds') ON CONFLICT DO NOTHING";

const RENEW: &str = "UPDATE runner_sessions SET expires_at = coalesce($2, clock_timestamp()) + interval '15 seconds' \
     WHERE session_id = $1 AND NOT dead";

const BURY: &str = "UPDATE runner_sessions SET dead = true WHERE session_id = $1";

/// Waits for commits of the session that are under way: a later sweep would count a crash.
const RELEASE_ALL: &str = "WITH k AS MATERIALIZED (SELECT run_id, plane_id FROM run_heads WHERE owner = $1 \
     ORDER BY run_id, plane_id FOR UPDATE) \
     UPDATE run_heads h SET owner = NULL, preempt_at = NULL, ready_at = coalesce($2, clock_timestamp()), \
     crashes = CASE WHEN $3 AND (h.crashes = 0 OR h.driven_epoch = h.epoch) \
     THEN least(h.crashes + 1, 32767)::smallint ELSE h.crashes END \
     FROM k WHERE h.run_id = k.run_id AND h.plane_id = k.plane_id RETURNING h.run_id, h.plane_id, h.pool";

const RELEASE_ONE: &str = "UPDATE run_heads h SET owner = NULL, preempt_at = NULL, \
     ready_at = coalesce($5, clock_timestamp()) \
     WHERE h.run_id = $1 AND h.plane_id = $2 AND coalesce(h.owner, -1) = $3 AND h.epoch = $4";

/// By key, so that no plan can walk an index; locked in key order, as everywhere. A claim makes the note void: it raises
/// the epoch.
const NOTE_DRIVEN: &str = "WITH k AS MATERIALIZED (SELECT l.place FROM ( \
      SELECT a.run, a.plane, a.epoch FROM unnest($2::uuid[], $3::int[], $4::bigint[]) a(run, plane, epoch) ORDER BY 1, 2) i \
     CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d WHERE d.run_id = i.run AND d.plane_id = i.plane \
      AND d.epoch = i.epoch AND coalesce(d.owner, -1) = $1 FOR UPDATE) l) \
     UPDATE run_heads h SET driven_epoch = h.epoch FROM k WHERE h.ctid = k.place";

pub(super) const HELD: &str = "SELECT run_id, plane_id, epoch FROM run_heads WHERE owner = $1";

impl PostgresStore {
    pub(super) async fn insert_session(&self, session: &NewSession) -> Result<()> {
        let query = sqlx::query(OPEN)
            .bind(session.id.0)
            .bind(&*session.pool)
            .bind(&session.node)
            .bind(self.database.now());
        self.database.write(query).await?;
        Ok(())
    }

    pub(super) async fn extend_session(&self, session: SessionId) -> Result<bool> {
        let query = sqlx::query(RENEW).bind(session.0).bind(self.database.now());
        let done = self.database.write(query).await?;
        Ok(done.affected > 0)
    }

    /// Two transactions: a claim that is under way commits before the second one looks, or fails.
    pub(super) async fn end_session(&self, session: SessionId, clean: bool) -> Result<Vec<Woken>> {
        let query = sqlx::query(BURY).bind(session.0);
        self.database.write(query).await?;
        let query = sqlx::query(RELEASE_ALL)
            .bind(session.0)
            .bind(self.database.now())
            .bind(!clean);
        let done = self.database.write(query).await?;
        woken(&done.rows)
    }

    pub(super) async fn runs_of_session(&self, session: SessionId) -> Result<Vec<(RunKey, i64)>> {
        let rows = self.database.read(sqlx::query(HELD).bind(session.0)).await?;
        let held = rows.iter().map(|row| {
            let mut cursor = Cursor::new(row);
            Ok((cursor.key()?, cursor.long()?))
        });
        let mut held: Vec<_> = held.collect::<Result<_>>()?;
        // Not by the statement: a plan could walk the index of all runs for it.
        held.sort_unstable();
        Ok(held)
    }

    pub(super) async fn note_drives(&self, session: SessionId, runs: &[(RunKey, i64)]) -> Result<()> {
        let ids: Vec<Uuid> = runs.iter().map(|(key, _)| key.run.0).collect();
        let planes: Vec<i32> = runs.iter().map(|(key, _)| key.plane.0).collect();
        let epochs: Vec<i64> = runs.iter().map(|(_, epoch)| *epoch).collect();
        let query = sqlx::query(NOTE_DRIVEN)
            .bind(session.0)
            .bind(ids)
            .bind(planes)
            .bind(epochs);
        self.database.write(query).await.map(drop)
    }

    pub(super) async fn release_run(&self, session: SessionId, key: RunKey, epoch: i64) -> Result<bool> {
        let query = sqlx::query(RELEASE_ONE)
            .bind(key.run.0)
            .bind(key.plane.0)
            .bind(session.0)
            .bind(epoch)
            .bind(self.database.now());
        let done = self.database.write(query).await?;
        Ok(done.affected > 0)
    }
}
