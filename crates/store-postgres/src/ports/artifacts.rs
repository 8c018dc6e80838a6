//! Artifact metadata.

use ag_store::{ArtifactFilter, ArtifactIndex, ArtifactOrder, ArtifactRow, Result};
use ag_types::TenantScope;
use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder};

use super::limit;
use crate::{
    rows::{Cursor, artifact},
    stamp::Stamp,
    store::PostgresStore,
};

const SELECT: &str = "SELECT artifact_id, run_id, blob_id, content_type, size_bytes, created_at, semantic_kind, \
     render_kind, modality, session_id, meta FROM artifacts WHERE plane_id = ";

#[async_trait]
impl ArtifactIndex for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.artifact.put_artifact", skip_all)]
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()> {
        let mut conn = self.database.conn().await?;
        sqlx::query(
            "INSERT INTO artifacts (plane_id, artifact_id, run_id, blob_id, content_type, size_bytes, created_at, \
             semantic_kind, render_kind, modality, session_id, meta) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (plane_id, artifact_id) DO UPDATE SET run_id = excluded.run_id, blob_id = excluded.blob_id, \
             content_type = excluded.content_type, size_bytes = excluded.size_bytes, \
             created_at = excluded.created_at, semantic_kind = excluded.semantic_kind, \
             render_kind = excluded.render_kind, modality = excluded.modality, session_id = excluded.session_id, \
             meta = excluded.meta",
        )
        .bind(scope.plane.0)
        .bind(&row.artifact_id)
        .bind(&row.run_id)
        .bind(&row.blob_id)
        .bind(&row.content_type)
        .bind(row.size_bytes)
        .bind(Stamp(row.created_at))
        .bind(&row.semantic_kind)
        .bind(&row.render_kind)
        .bind(&row.modality)
        .bind(&row.session_id)
        .bind(&*row.meta)
        .execute(&mut *conn)
        .await
        .map_err(|error| self.database.write_failed(error))?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifact", skip_all)]
    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        let mut query = QueryBuilder::new(SELECT);
        query
            .push_bind(scope.plane.0)
            .push(" AND artifact_id = ")
            .push_bind(artifact_id);
        let mut conn = self.database.conn().await?;
        let row = query
            .build()
            .fetch_optional(&mut *conn)
            .await
            .map_err(|error| self.database.read_failed(error))?;
        row.as_ref().map(artifact).transpose()
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifacts", skip_all)]
    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        let mut query = filtered(scope, &filter);
        let mut conn = self.database.conn().await?;
        let rows = query
            .build()
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| self.database.read_failed(error))?;
        rows.iter().map(artifact).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.update_artifact_meta", skip_all)]
    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool> {
        let mut conn = self.database.conn().await?;
        let done = sqlx::query("UPDATE artifacts SET meta = $3 WHERE plane_id = $1 AND artifact_id = $2")
            .bind(scope.plane.0)
            .bind(artifact_id)
            .bind(meta)
            .execute(&mut *conn)
            .await
            .map_err(|error| self.database.write_failed(error))?;
        Ok(done.rows_affected() > 0)
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.delete_artifacts_of", skip_all)]
    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)> {
        let mut conn = self.database.conn().await?;
        // The rest of the statement still sees the deleted rows, hence the second condition on their owners.
        let row = sqlx::query(
            "WITH gone AS (DELETE FROM artifacts WHERE plane_id = $1 AND run_id = ANY ($2) RETURNING blob_id) \
             SELECT count(*), coalesce(array_agg(DISTINCT g.blob_id ORDER BY g.blob_id) FILTER (WHERE NOT EXISTS ( \
             SELECT FROM artifacts a WHERE a.plane_id = $1 AND a.blob_id = g.blob_id \
             AND (a.run_id IS NULL OR a.run_id <> ALL ($2)))), '{}') FROM gone g",
        )
        .bind(scope.plane.0)
        .bind(run_ids)
        .fetch_one(&mut *conn)
        .await
        .map_err(|error| self.database.write_failed(error))?;
        let mut cursor = Cursor::new(&row);
        Ok((cursor.long()?.unsigned_abs(), cursor.next()?))
    }
}

fn filtered(scope: &TenantScope, filter: &ArtifactFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(SELECT);
    query.push_bind(scope.plane.0);
    if !filter.run_ids.is_empty() || filter.or_session_id.is_some() {
        query
            .push(" AND (run_id = ANY (")
            .push_bind(filter.run_ids.clone())
            .push(")");
        if let Some(session) = &filter.or_session_id {
            query.push(" OR session_id = ").push_bind(session.clone());
        }
        query.push(")");
    }
    if let Some(after) = filter.created_after {
        query.push(" AND created_at >= ").push_bind(Stamp(after));
    }
    if let Some(before) = filter.created_before {
        query.push(" AND created_at <= ").push_bind(Stamp(before));
    }
    query.push(match filter.order {
        ArtifactOrder::NewestFirst => " ORDER BY created_at DESC, artifact_id DESC",
        ArtifactOrder::OldestFirst => " ORDER BY created_at, artifact_id",
    });
    if filter.limit > 0 {
        query.push(" LIMIT ").push_bind(limit(filter.limit));
    }
    query
}
