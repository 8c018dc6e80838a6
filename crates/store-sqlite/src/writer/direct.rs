//! Rare writes, each in a transaction of its own.

mod documents;
mod runs;

use ag_store::{ArtifactRow, OwnerRow, Result};
use ag_types::{PlaneId, PlaneKey, TenantScope};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Answer, Op, Writer,
    plan::{artifact_values, owner_values},
    statements::Statement,
};
use crate::{
    error::store_error,
    rows::Cursor,
    sql::{args, text},
};

impl Writer {
    /// Runs one operation between `BEGIN` and `COMMIT`.
    pub(super) async fn direct(&mut self, op: &Op) -> Result<Answer> {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut self.conn)
            .await
            .map_err(store_error)?;
        let done = match self.statements(op).await {
            Ok(answer) => sqlx::raw_sql("COMMIT")
                .execute(&mut self.conn)
                .await
                .map(|_| answer)
                .map_err(store_error),
            Err(error) => Err(error),
        };
        if done.is_err() {
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut self.conn).await;
            return done;
        }
        self.after(op);
        done
    }

    async fn statements(&mut self, op: &Op) -> Result<Answer> {
        let conn = &mut self.conn;
        match op {
            Op::Append { plane, run, lines } => runs::append(conn, *plane, *run, lines).await,
            Op::Purge { plane, runs } => runs::purge(conn, *plane, runs).await,
            Op::Plane(key) => plane(conn, key).await,
            Op::PutDocument {
                plane,
                kind,
                document,
                mode,
            } => documents::put(conn, *plane, *kind, document, *mode).await,
            Op::DeleteDocument { plane, kind, id } => documents::delete(conn, *plane, *kind, id).await,
            Op::PutArtifact { plane, row } => put_artifact(conn, *plane, row).await,
            Op::ArtifactMeta {
                plane,
                artifact_id,
                meta,
            } => artifact_meta(conn, *plane, artifact_id, meta).await,
            Op::DeleteArtifacts { plane, run_ids } => delete_artifacts(conn, *plane, run_ids).await,
            Op::EnsureOwner { plane, owner } => ensure_owner(conn, *plane, owner).await,
            Op::Start { .. }
            | Op::Commit(_)
            | Op::Release { .. }
            | Op::Post { .. }
            | Op::Sweep(_)
            | Op::CloseSession { .. }
            | Op::Close => Ok(Answer::Done),
        }
    }

    /// What the committed operation changes in memory.
    fn after(&mut self, op: &Op) {
        match op {
            Op::PutDocument { plane, .. } | Op::DeleteDocument { plane, .. } => {
                self.planes.remove(plane);
            }
            Op::Purge { plane, runs } => {
                let mut leases = self.shared.leases.lock();
                for run in runs {
                    leases.forget(&ag_types::RunKey {
                        run: *run,
                        plane: *plane,
                    });
                }
            }
            _ => {}
        }
    }
}

async fn plane(conn: &mut SqliteConnection, key: &PlaneKey) -> Result<Answer> {
    let (tenant, runtime) = (&*key.tenant_id, &*key.runtime_id);
    sqlx::query("INSERT INTO planes (tenant_id, runtime_id) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(tenant)
        .bind(runtime)
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    let row = sqlx::query("SELECT plane_id FROM planes WHERE tenant_id = ? AND runtime_id = ?")
        .bind(tenant)
        .bind(runtime)
        .fetch_one(&mut *conn)
        .await
        .map_err(store_error)?;
    Ok(Answer::Plane(TenantScope {
        plane: Cursor::new(&row).plane()?,
        key: key.clone(),
    }))
}

async fn put_artifact(conn: &mut SqliteConnection, plane: PlaneId, row: &ArtifactRow) -> Result<Answer> {
    let (sql, _) = Statement::Artifact.sql().largest(1);
    let args = args(artifact_values(plane, row))?;
    sqlx::query_with(text(sql), args)
        .execute(conn)
        .await
        .map_err(store_error)?;
    Ok(Answer::Done)
}

async fn artifact_meta(conn: &mut SqliteConnection, plane: PlaneId, id: &str, meta: &str) -> Result<Answer> {
    let changed = sqlx::query("UPDATE artifacts SET meta = ? WHERE plane_id = ? AND artifact_id = ?")
        .bind(meta)
        .bind(plane.0)
        .bind(id)
        .execute(conn)
        .await
        .map_err(store_error)?;
    Ok(Answer::Changed(changed.rows_affected() > 0))
}

/// Owners in one statement; far below the parameter limit of 32,766.
const OWNERS: usize = 500;

async fn delete_artifacts(conn: &mut SqliteConnection, plane: PlaneId, run_ids: &[String]) -> Result<Answer> {
    let mut deleted = 0;
    let mut blobs = std::collections::BTreeSet::new();
    for chunk in run_ids.chunks(OWNERS) {
        let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM artifacts WHERE plane_id = ");
        delete.push_bind(plane.0).push(" AND run_id IN (");
        let mut list = delete.separated(", ");
        for id in chunk {
            list.push_bind(id.as_str());
        }
        delete.push(") RETURNING blob_id");
        let rows = delete
            .build()
            .persistent(false)
            .fetch_all(&mut *conn)
            .await
            .map_err(store_error)?;
        for row in rows {
            deleted += 1;
            blobs.insert(Cursor::new(&row).string()?);
        }
    }
    let mut unused = Vec::new();
    for blob in blobs {
        let used = sqlx::query("SELECT 1 FROM artifacts WHERE plane_id = ? AND blob_id = ? LIMIT 1")
            .bind(plane.0)
            .bind(blob.as_str())
            .fetch_optional(&mut *conn)
            .await
            .map_err(store_error)?;
        if used.is_none() {
            unused.push(blob);
        }
    }
    Ok(Answer::Deleted(deleted, unused))
}

async fn ensure_owner(conn: &mut SqliteConnection, plane: PlaneId, owner: &OwnerRow) -> Result<Answer> {
    let (sql, _) = Statement::Owner.sql().largest(1);
    let args = args(owner_values(plane, owner))?;
    sqlx::query_with(text(sql), args)
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    let row = crate::ports::owner_row(conn, plane, &owner.owner_id).await?;
    Ok(Answer::Owner(row.unwrap_or_else(|| owner.clone())))
}
