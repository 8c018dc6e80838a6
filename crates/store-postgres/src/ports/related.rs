//! Trees of runs. `plane_id + 0` keeps the planner on the index of parents.

use ag_store::{RelatedRun, Result};
use ag_types::{RunId, TenantScope};
use sqlx::postgres::PgRow;

use super::limit as bound;
use crate::{
    rows::{Cursor, run_head, tenant},
    store::PostgresStore,
};

pub(super) const CHILDREN: &str = tenant!(
    "SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.status, r.last_seq \
     FROM runs r WHERE r.parent_run_id = $2 AND r.plane_id + 0 = s.plane ORDER BY r.created_at, r.run_id"
);

/// The depth is bounded, so that damaged data (a circle of parents) cannot make it run for ever.
pub(super) const DESCENDANTS: &str = tenant!(
    "WITH RECURSIVE tree AS ( \
     SELECT r.run_id, 1 AS depth, r.created_at FROM runs r WHERE r.parent_run_id = $2 AND r.plane_id + 0 = s.plane \
     UNION ALL SELECT r.run_id, tree.depth + 1, r.created_at FROM tree \
     JOIN runs r ON r.parent_run_id = tree.run_id AND r.plane_id + 0 = s.plane WHERE tree.depth < 1000) \
     SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.status, r.last_seq \
     FROM (SELECT * FROM tree ORDER BY depth, created_at, run_id LIMIT $3) t \
     JOIN runs r ON r.run_id = t.run_id AND r.plane_id + 0 = s.plane ORDER BY t.depth, t.created_at, t.run_id"
);

pub(super) const LIVE_BELOW: &str = tenant!(
    "WITH RECURSIVE below AS ( \
     SELECT r.run_id, r.status IN ('running', 'waiting') AS live FROM runs r \
     WHERE r.parent_run_id = $2 AND r.plane_id + 0 = s.plane \
     UNION SELECT r.run_id, r.status IN ('running', 'waiting') FROM below \
     JOIN runs r ON r.parent_run_id = below.run_id AND r.plane_id + 0 = s.plane WHERE NOT below.live) \
     SELECT run_id FROM below WHERE live ORDER BY run_id"
);

impl PostgresStore {
    pub(super) async fn child_runs(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>> {
        let query = sqlx::query(CHILDREN).bind(scope.plane.0).bind(run.0);
        let rows = self.database.read(query).await?;
        rows.iter().map(related).collect()
    }

    pub(super) async fn runs_below(
        &self,
        scope: &TenantScope,
        run: RunId,
        limit: usize,
    ) -> Result<Vec<RelatedRun>> {
        let query = sqlx::query(DESCENDANTS)
            .bind(scope.plane.0)
            .bind(run.0)
            .bind(bound(limit));
        let rows = self.database.read(query).await?;
        rows.iter().map(related).collect()
    }

    pub(super) async fn nearest_live(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>> {
        let query = sqlx::query(LIVE_BELOW).bind(scope.plane.0).bind(run.0);
        let rows = self.database.read(query).await?;
        rows.iter().map(|row| Cursor::new(row).run_id()).collect()
    }
}

fn related(row: &PgRow) -> Result<RelatedRun> {
    let mut cursor = Cursor::new(row);
    Ok(RelatedRun {
        head: run_head(&mut cursor)?,
        status: cursor.status()?,
        last_seq: cursor.long()?,
    })
}
