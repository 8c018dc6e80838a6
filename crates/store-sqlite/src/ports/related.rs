//! Trees of runs. `+r.plane_id` keeps the planner on the index of parents.

use ag_store::{RelatedRun, Result};
use ag_types::{RunId, TenantScope};

use super::count;
use crate::{
    rows::{Cursor, run_head},
    store::SqliteStore,
};

pub(super) const CHILDREN: &str = "SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, \
     r.status, r.last_seq FROM runs r WHERE r.parent_run_id = ? AND +r.plane_id = ? ORDER BY r.created_at, r.run_id";

/// The inner order makes the recursion breadth-first, the inner limit ends it.
pub(super) const DESCENDANTS: &str = "WITH RECURSIVE tree (run_id, depth, created_at) AS ( \
     SELECT r.run_id, 1, r.created_at FROM runs r WHERE r.parent_run_id = ?1 AND +r.plane_id = ?2 \
     UNION ALL SELECT r.run_id, tree.depth + 1, r.created_at FROM tree \
     JOIN runs r ON r.parent_run_id = tree.run_id AND +r.plane_id = ?2 ORDER BY 2, 3, 1 LIMIT ?3) \
     SELECT r.run_id, r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.status, r.last_seq \
     FROM tree CROSS JOIN runs r ON r.run_id = tree.run_id AND r.plane_id = ?2 \
     ORDER BY tree.depth, tree.created_at, tree.run_id";

pub(super) const LIVE_BELOW: &str = "WITH RECURSIVE below (run_id, live) AS ( \
     SELECT r.run_id, r.status IN ('running', 'waiting') FROM runs r \
     WHERE r.parent_run_id = ?1 AND +r.plane_id = ?2 \
     UNION SELECT r.run_id, r.status IN ('running', 'waiting') FROM below \
     JOIN runs r ON r.parent_run_id = below.run_id AND +r.plane_id = ?2 WHERE NOT below.live) \
     SELECT run_id FROM below WHERE live ORDER BY run_id";

impl SqliteStore {
    pub(super) async fn child_runs(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>> {
        let values = [run.into(), scope.plane.into()];
        self.scan(move |db| db.all(CHILDREN, &values, related)).await
    }

    pub(super) async fn runs_below(
        &self,
        scope: &TenantScope,
        run: RunId,
        limit: usize,
    ) -> Result<Vec<RelatedRun>> {
        let values = [run.into(), scope.plane.into(), count(limit).into()];
        self.scan(move |db| db.all(DESCENDANTS, &values, related)).await
    }

    pub(super) async fn nearest_live(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>> {
        let values = [run.into(), scope.plane.into()];
        self.scan(move |db| db.all(LIVE_BELOW, &values, |row| row.run_id()))
            .await
    }
}

fn related(cursor: &mut Cursor<'_>) -> Result<RelatedRun> {
    Ok(RelatedRun {
        head: run_head(cursor)?,
        status: cursor.status()?,
        last_seq: cursor.int()?,
    })
}
