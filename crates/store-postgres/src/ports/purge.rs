//! Purging.

use ag_store::Result;
use ag_types::{RunId, TenantScope};
use uuid::Uuid;

use crate::{rows::Cursor, store::PostgresStore};

/// Deletes by place what belongs to one of the names: a plan made while the table was empty would compare each row of
/// the plane with all of them.
macro_rules! of_names {
    ($table:literal, $column:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY (SELECT d.ctid FROM unnest($2::uuid[]::text[]) k(name) \
             CROSS JOIN LATERAL (SELECT x.ctid FROM ",
            $table,
            " x WHERE x.plane_id = $1 AND x.",
            $column,
            " = k.name FOR UPDATE) d))"
        )
    };
}

/// In the order of the protocol: the heads are locked in key order and deleted first, so that holders are fenced and
/// no mail can follow; the runs go last.
const STEPS: [&str; 6] = [
    "WITH k AS MATERIALIZED (SELECT run_id, plane_id FROM run_heads WHERE run_id = ANY ($2) AND plane_id = $1 \
     ORDER BY run_id, plane_id FOR UPDATE) \
     DELETE FROM run_heads h USING k WHERE h.run_id = k.run_id AND h.plane_id = k.plane_id",
    "DELETE FROM mail WHERE run_id = ANY ($2) AND plane_id = $1",
    "DELETE FROM start_keys WHERE run_id = ANY ($2) AND plane_id + 0 = $1",
    of_names!("memory_spans", "owner_id"),
    of_names!("kg_assertions", "owner_id"),
    of_names!("memory_owners", "owner_id"),
];

const LEDGER: &str = "WITH gone AS (DELETE FROM ledger WHERE run_id = ANY ($2) AND plane_id = $1 \
     RETURNING last_seq - first_seq + 1 AS records) SELECT coalesce(sum(records), 0)::bigint FROM gone";
const COMMANDS: &str = of_names!("commands", "run_id");
const RUNS: &str = "DELETE FROM runs WHERE run_id = ANY ($2) AND plane_id + 0 = $1";

impl PostgresStore {
    pub(super) async fn purge(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let statements = STEPS.into_iter().chain([LEDGER, COMMANDS, RUNS]);
        let steps = statements.map(|step| sqlx::query(step).bind(scope.plane.0).bind(&ids));
        let done = self.database.write_all_in(scope, steps.collect()).await?;
        let [.., ledger, commands, runs] = done.as_slice() else {
            return Ok((0, 0, 0));
        };
        let records = ledger.rows.first().map_or(Ok(0), |row| Cursor::new(row).long())?;
        Ok((runs.affected, records.unsigned_abs(), commands.affected))
    }
}
