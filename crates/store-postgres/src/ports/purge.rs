//! Purging.

use ag_store::Result;
use ag_types::{RunId, TenantScope};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::store::PostgresStore;

/// In the order of the protocol: the heads are locked in key order and deleted first, so that holders are fenced and
/// no mail can follow; the runs go last.
const STEPS: [&str; 4] = [
    "WITH k AS MATERIALIZED (SELECT run_id, plane_id FROM run_heads WHERE run_id = ANY ($2) AND plane_id = $1 \
     ORDER BY run_id, plane_id FOR UPDATE) \
     DELETE FROM run_heads h USING k WHERE h.run_id = k.run_id AND h.plane_id = k.plane_id",
    "DELETE FROM mail WHERE run_id = ANY ($2) AND plane_id = $1",
    "DELETE FROM start_keys WHERE run_id = ANY ($2) AND plane_id = $1",
    "DELETE FROM memory_owners WHERE plane_id = $1 AND owner_id = ANY (SELECT r::text FROM unnest($2::uuid[]) r)",
];

const LEDGER: &str = "WITH gone AS (DELETE FROM ledger WHERE run_id = ANY ($2) AND plane_id = $1 \
     RETURNING last_seq - first_seq + 1 AS records) SELECT coalesce(sum(records), 0)::bigint FROM gone";
const COMMANDS: &str =
    "DELETE FROM commands WHERE plane_id = $1 AND run_id = ANY (SELECT r::text FROM unnest($2::uuid[]) r)";
const RUNS: &str = "DELETE FROM runs WHERE run_id = ANY ($2) AND plane_id + 0 = $1";

impl PostgresStore {
    pub(super) async fn purge(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let plane = scope.plane.0;
        let mut conn = self.database.conn().await?;
        let mut tx = conn
            .begin()
            .await
            .map_err(|error| self.database.write_failed(error))?;
        for step in STEPS {
            sqlx::query(step)
                .bind(plane)
                .bind(&ids)
                .execute(&mut *tx)
                .await
                .map_err(|error| self.database.write_failed(error))?;
        }
        let records: i64 = sqlx::query_scalar(LEDGER)
            .bind(plane)
            .bind(&ids)
            .fetch_one(&mut *tx)
            .await
            .map_err(|error| self.database.write_failed(error))?;
        let commands = sqlx::query(COMMANDS)
            .bind(plane)
            .bind(&ids)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.database.write_failed(error))?
            .rows_affected();
        let count = sqlx::query(RUNS)
            .bind(plane)
            .bind(&ids)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.database.write_failed(error))?
            .rows_affected();
        tx.commit()
            .await
            .map_err(|error| self.database.write_failed(error))?;
        Ok((count, records.unsigned_abs(), commands))
    }
}
