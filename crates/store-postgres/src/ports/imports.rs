//! Bulk writes; see `ag_store::imports` for the order of the steps.

mod rows;

use std::{collections::HashSet, sync::Arc};

use ag_store::{ImportBatch, ImportCounts, ImportStore, ImportWake, Result, StoreError};
use ag_types::{PlaneId, RunId, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    rows::Cursor,
    stamp::Stamp,
    store::{Database, Done, PostgresStore},
};
use rows::Bulk;

const IN_USE: &str = "SELECT node FROM runner_sessions \
     WHERE NOT dead AND expires_at > coalesce($1, clock_timestamp()) LIMIT 1";
// Only a run that nobody has committed can lack a head while it lives.
const HEADS: &str = "INSERT INTO run_heads (run_id, plane_id, pool) SELECT r.run_id, $1, k.pool \
     FROM unnest($2::uuid[], $3::text[]) k(id, pool) CROSS JOIN LATERAL (SELECT run_id FROM runs \
     WHERE run_id = k.id AND plane_id + 0 = $1 AND status IN ('running', 'waiting')) r ON CONFLICT DO NOTHING";
const HEAD: &str = "SELECT h.mail_in FROM run_heads h CROSS JOIN LATERAL (SELECT rev FROM runs \
     WHERE run_id = h.run_id AND plane_id + 0 = h.plane_id) r \
     WHERE h.run_id = $2 AND h.plane_id + 0 = $1 AND h.owner IS NULL AND r.rev = 0 FOR UPDATE OF h";
const MAIL: &str = "INSERT INTO mail (run_id, plane_id, n, kind, body) SELECT $2, $1, $3, $4, $5 WHERE NOT EXISTS \
     (SELECT FROM mail WHERE run_id = $2 AND plane_id + 0 = $1 AND kind = $4)";
const WAKE: &str = "UPDATE run_heads SET mail_in = $3, \
     ready_at = CASE WHEN $4 THEN coalesce(ready_at, $6, clock_timestamp()) ELSE ready_at END, \
     wake_at = coalesce(wake_at, $5) WHERE run_id = $2 AND plane_id + 0 = $1 \
     AND (mail_in <> $3 OR ($4 AND ready_at IS NULL) OR (wake_at IS NULL AND $5::timestamptz IS NOT NULL))";
const COMMAND_SEQ: &str = "UPDATE planes SET command_seq = greatest(command_seq, $2) WHERE plane_id = $1";

#[async_trait]
impl ImportStore for PostgresStore {
    async fn in_use(&self, _: &SystemScope) -> Result<Option<String>> {
        let query = sqlx::query(IN_USE).bind(self.database.now());
        let rows = self.database.read(query).await?;
        let node = rows.first().map(|row| Cursor::new(row).string()).transpose()?;
        Ok(node.map(|node| format!("the runner '{node}' works on this database")))
    }

    #[tracing::instrument(level = "debug", name = "store.import.stored_runs", skip_all)]
    async fn stored_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<HashSet<RunId>> {
        let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let mut conn = self.database.conn().await?;
        let reading = async {
            let mut tx = conn.begin().await?;
            let mut bulk = Bulk {
                database: &self.database,
                conn: &mut tx,
                plane: scope.plane,
            };
            let stored = bulk.stored(&ids).await?;
            tx.commit().await?;
            Ok(stored)
        };
        reading.await.map_err(|error| self.database.read_failed(error))
    }

    #[tracing::instrument(level = "debug", name = "store.import.rows", skip_all)]
    async fn import(&self, scope: &TenantScope, batch: ImportBatch) -> Result<ImportCounts> {
        let mut conn = self.database.conn().await?;
        let writing = async {
            let mut tx = conn.begin().await?;
            let mut bulk = Bulk {
                database: &self.database,
                conn: &mut tx,
                plane: scope.plane,
            };
            let counts = bulk.rows(&batch).await?;
            tx.commit().await?;
            Ok(counts)
        };
        writing.await.map_err(|error| self.database.write_failed(error))
    }

    #[tracing::instrument(level = "debug", name = "store.import.heads", skip_all)]
    async fn import_heads(&self, scope: &TenantScope, heads: &[(RunId, Arc<str>)]) -> Result<u64> {
        let ids: Vec<Uuid> = heads.iter().map(|(run, _)| run.0).collect();
        let pools: Vec<&str> = heads.iter().map(|(_, pool)| &**pool).collect();
        let query = sqlx::query(HEADS).bind(scope.plane.0).bind(&ids).bind(&pools);
        Ok(self.database.write(query).await?.affected)
    }

    #[tracing::instrument(level = "debug", name = "store.import.wakes", skip_all)]
    async fn import_wakes(&self, scope: &TenantScope, wakes: &[ImportWake]) -> Result<u64> {
        let mut conn = self.database.conn().await?;
        let writing = async {
            let mut tx = conn.begin().await?;
            let mut changed = 0;
            for wake in wakes {
                changed += set_off(&self.database, &mut tx, scope.plane, wake).await?;
            }
            tx.commit().await?;
            Ok(changed)
        };
        writing.await.map_err(|error| self.database.write_failed(error))
    }

    async fn raise_command_seq(&self, scope: &TenantScope, seq: i64) -> Result<()> {
        let query = sqlx::query(COMMAND_SEQ).bind(scope.plane.0).bind(seq);
        self.database.write(query).await.map(|_| ())
    }
}

async fn set_off(
    database: &Database,
    conn: &mut PgConnection,
    plane: PlaneId,
    wake: &ImportWake,
) -> sqlx::Result<u64> {
    let start = |sql: &'static str| {
        let query = sqlx::query(sql).bind(plane.0).bind(wake.run.0);
        database.in_transaction(query)
    };
    let found = Done::of(conn, start(HEAD)).await?;
    let Some(row) = found.rows.first() else {
        return Ok(0);
    };
    let stored = Cursor::new(row).long().map_err(damaged)?;
    let mut mail_in = stored;
    for (kind, body) in &wake.mail {
        let query = start(MAIL).bind(mail_in + 1).bind(kind.as_str()).bind(&**body);
        let sent = Done::of(conn, query).await?.affected;
        mail_in += i64::try_from(sent).unwrap_or(0);
    }
    let query = start(WAKE)
        .bind(mail_in)
        .bind(wake.ready || mail_in > stored)
        .bind(wake.wake_at.map(Stamp))
        .bind(database.now());
    Ok(Done::of(conn, query).await?.affected)
}

fn damaged(error: StoreError) -> sqlx::Error {
    sqlx::Error::Decode(error.to_string().into())
}
