//! Ready work and the beat: what a runner finds without bells. Both are read-only statements.

use ag_store::{Beat, CandidateQuery, Result, Woken};
use ag_types::{RunKey, SessionId};
use uuid::Uuid;

use super::{limit, woken};
use crate::{rows::Cursor, store::PostgresStore};

/// A loose scan finds at most 64 planes with ready work, those after the rotating start first; then the first run of
/// each plane, then the second, and so on: that is the fairness.
pub(super) const CANDIDATES: &str = "WITH RECURSIVE above AS ( \
     (SELECT plane_id FROM run_heads WHERE pool = $1 AND plane_id > $2 AND ready_at IS NOT NULL \
      ORDER BY plane_id LIMIT 1) \
     UNION ALL SELECT (SELECT h.plane_id FROM run_heads h WHERE h.pool = $1 AND h.plane_id > a.plane_id \
      AND h.ready_at IS NOT NULL ORDER BY h.plane_id LIMIT 1) FROM above a WHERE a.plane_id IS NOT NULL), \
     below AS ( \
     (SELECT plane_id FROM run_heads WHERE pool = $1 AND plane_id <= $2 AND ready_at IS NOT NULL \
      ORDER BY plane_id LIMIT 1) \
     UNION ALL SELECT (SELECT h.plane_id FROM run_heads h WHERE h.pool = $1 AND h.plane_id > b.plane_id \
      AND h.plane_id <= $2 AND h.ready_at IS NOT NULL ORDER BY h.plane_id LIMIT 1) \
      FROM below b WHERE b.plane_id IS NOT NULL), \
     busy AS (SELECT plane_id FROM (SELECT plane_id FROM above UNION ALL SELECT plane_id FROM below) p \
      WHERE plane_id IS NOT NULL LIMIT 64) \
     SELECT h.run_id, h.plane_id FROM busy p CROSS JOIN LATERAL ( \
      SELECT o.run_id, o.plane_id, o.ready_at, row_number() OVER (ORDER BY o.ready_at, o.run_id) AS place FROM ( \
       SELECT r.run_id, r.plane_id, r.ready_at FROM run_heads r WHERE r.pool = $1 AND r.plane_id = p.plane_id \
       AND r.ready_at IS NOT NULL ORDER BY r.ready_at LIMIT $3) o) h \
     ORDER BY h.place, h.ready_at, h.run_id LIMIT $3";

/// One row per cancelled run of the session, at least one; the oldest ready run is that of the pool's first 256
/// planes with ready work.
pub(super) const BEAT: &str = "WITH RECURSIVE n AS MATERIALIZED (SELECT coalesce($3, clock_timestamp()) AS t), \
     busy AS ( \
     (SELECT plane_id, ready_at FROM run_heads WHERE pool = $2 AND ready_at IS NOT NULL \
      ORDER BY plane_id, ready_at LIMIT 1) \
     UNION ALL SELECT f.plane_id, f.ready_at FROM busy b CROSS JOIN LATERAL ( \
      SELECT h.plane_id, h.ready_at FROM run_heads h WHERE h.pool = $2 AND h.plane_id > b.plane_id \
      AND h.ready_at IS NOT NULL ORDER BY h.plane_id, h.ready_at LIMIT 1) f) \
     SELECT n.t, (SELECT min(wake_at) FROM run_heads WHERE wake_at IS NOT NULL), \
     EXISTS (SELECT FROM runner_sessions s WHERE NOT s.dead AND s.expires_at <= n.t) OR EXISTS ( \
      SELECT FROM runner_sessions s WHERE s.dead AND EXISTS ( \
       SELECT FROM run_heads h WHERE h.owner = s.session_id)), \
     EXISTS (SELECT FROM run_heads WHERE preempt_at < n.t), \
     (SELECT min(ready_at) FROM (SELECT ready_at FROM busy LIMIT 256) o), c.run_id, c.plane_id \
     FROM n LEFT JOIN run_heads c ON c.owner = $1 AND c.preempt_at IS NOT NULL ORDER BY c.run_id, c.plane_id";

pub(super) const READY_AMONG: &str = "SELECT k.run, k.plane, h.pool \
     FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY k(run, plane, o) \
     CROSS JOIN LATERAL (SELECT d.pool FROM run_heads d WHERE d.run_id = k.run AND d.plane_id = k.plane \
      AND coalesce(d.owner, -1) = -1 AND coalesce(d.ready_at, 'infinity') < 'infinity' OFFSET 0) h ORDER BY k.o";

impl PostgresStore {
    pub(super) async fn ready_of(&self, keys: &[RunKey]) -> Result<Vec<Woken>> {
        let runs: Vec<Uuid> = keys.iter().map(|key| key.run.0).collect();
        let planes: Vec<i32> = keys.iter().map(|key| key.plane.0).collect();
        let query = sqlx::query(READY_AMONG).bind(runs).bind(planes);
        woken(&self.database.read(query).await?)
    }

    pub(super) async fn ready_runs(&self, query: &CandidateQuery) -> Result<Vec<RunKey>> {
        let query = sqlx::query(CANDIDATES)
            .bind(&*query.pool)
            .bind(query.after_plane.0)
            .bind(limit(query.limit));
        let rows = self.database.read(query).await?;
        rows.iter().map(|row| Cursor::new(row).key()).collect()
    }

    pub(super) async fn heartbeat(&self, session: SessionId, pool: &str) -> Result<Beat> {
        let query = sqlx::query(BEAT)
            .bind(session.0)
            .bind(pool)
            .bind(self.database.now());
        let rows = self.database.read(query).await?;
        let mut beat = Beat::default();
        for row in &rows {
            let mut cursor = Cursor::new(row);
            beat.now = Some(cursor.time()?);
            beat.next_wake = cursor.opt_time()?;
            beat.session_expired = cursor.flag()?;
            beat.preempt_due = cursor.flag()?;
            beat.oldest_ready = cursor.opt_time()?;
            beat.cancels.extend(cursor.opt_key()?);
        }
        Ok(beat)
    }
}
