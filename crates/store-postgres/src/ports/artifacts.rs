//! Artifact metadata.

use ag_store::{ArtifactFilter, ArtifactIndex, ArtifactOrder, ArtifactRow, Result};
use ag_types::TenantScope;
use async_trait::async_trait;

use super::limit;
use crate::{
    rows::{Cursor, TenantQuery, artifact, tenant},
    stamp::Stamp,
    store::PostgresStore,
};

const SELECT: &str = "SELECT artifact_id, run_id, blob_id, content_type, size_bytes, created_at, semantic_kind, \
     render_kind, modality, session_id, meta FROM ";
/// All of the plane.
const ALL: &str = "artifacts WHERE plane_id = s.plane";
/// Those of runs; each is looked up by itself, and sorted afterwards: else the order decides about the index, and all of
/// the plane are read.
const OF_RUNS: [&str; 2] = [
    "(SELECT a.* FROM (SELECT DISTINCT r FROM unnest(",
    "::text[]) r) k(run) CROSS JOIN LATERAL \
     (SELECT * FROM artifacts WHERE plane_id = s.plane AND run_id = k.run OFFSET 0) a",
];
/// And those of a session that are of none of the runs.
const OF_SESSION: [&str; 3] = [
    " UNION ALL SELECT * FROM artifacts WHERE plane_id = s.plane AND session_id = ",
    " AND (run_id IS NULL OR run_id <> ALL (",
    "))",
];

/// The runs of the plane are read whole; see the port.
/// One look per blob: a bundle may have millions of runs.
const BLOBS_IN_USE: &str = tenant!(
    "SELECT k.id FROM unnest($2::text[]) k(id) WHERE \
     EXISTS (SELECT FROM artifacts a WHERE a.plane_id = s.plane AND a.blob_id = k.id OFFSET 0) \
     OR EXISTS (SELECT FROM runs r WHERE r.plane_id = s.plane AND r.bundle_sha256 = k.id OFFSET 0)"
);

#[async_trait]
impl ArtifactIndex for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.artifact.put_artifact", skip_all)]
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()> {
        let query = sqlx::query(
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
        .bind(&*row.meta);
        self.database.write_in(scope, query).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifact", skip_all)]
    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        let mut query = TenantQuery::new(scope, SELECT);
        query
            .push(ALL)
            .push(" AND artifact_id = ")
            .bind(artifact_id.to_owned());
        let rows = self.database.read(query.build()).await?;
        rows.first().map(artifact).transpose()
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifacts", skip_all)]
    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        let mut query = filtered(scope, &filter);
        let rows = self.database.read(query.build()).await?;
        rows.iter().map(artifact).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.update_artifact_meta", skip_all)]
    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool> {
        let query = sqlx::query("UPDATE artifacts SET meta = $3 WHERE plane_id = $1 AND artifact_id = $2")
            .bind(scope.plane.0)
            .bind(artifact_id)
            .bind(meta);
        let done = self.database.write_in(scope, query).await?;
        Ok(done.affected > 0)
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.delete_artifacts_of", skip_all)]
    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)> {
        // The rest of the statement still sees the deleted rows, hence the second condition on their owners.
        let query = sqlx::query(
            "WITH gone AS (DELETE FROM artifacts WHERE plane_id = $1 AND run_id = ANY ($2) RETURNING blob_id) \
             SELECT count(*), coalesce(array_agg(DISTINCT g.blob_id ORDER BY g.blob_id) FILTER (WHERE NOT EXISTS ( \
             SELECT FROM artifacts a WHERE a.plane_id = $1 AND a.blob_id = g.blob_id \
             AND (a.run_id IS NULL OR a.run_id <> ALL ($2)) OFFSET 0)), '{}') FROM gone g",
        )
        .bind(scope.plane.0)
        .bind(run_ids);
        let done = self.database.write_in(scope, query).await?;
        let Some(row) = done.rows.first() else {
            return Ok((0, Vec::new()));
        };
        let mut cursor = Cursor::new(row);
        Ok((cursor.long()?.unsigned_abs(), cursor.next()?))
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.blobs_in_use", skip_all)]
    async fn blobs_in_use(&self, scope: &TenantScope, blob_ids: &[String]) -> Result<Vec<String>> {
        let query = sqlx::query(BLOBS_IN_USE).bind(scope.plane.0).bind(blob_ids);
        let rows = self.database.read(query).await?;
        rows.iter().map(|row| Cursor::new(row).string()).collect()
    }
}

fn filtered(scope: &TenantScope, filter: &ArtifactFilter) -> TenantQuery {
    let mut query = TenantQuery::new(scope, SELECT);
    if !filter.run_ids.is_empty() || filter.or_session_id.is_some() {
        let ([first, rest], runs) = (OF_RUNS, &filter.run_ids);
        query.push(first).bind(runs.clone()).push(rest);
        if let Some(session) = &filter.or_session_id {
            let [of, without, end] = OF_SESSION;
            query.push(of).bind(session.clone()).push(without);
            query.bind(runs.clone()).push(end);
        }
        query.push(" OFFSET 0) artifacts WHERE true");
    } else {
        query.push(ALL);
    }
    if let Some(after) = filter.created_after {
        query.push(" AND created_at >= ").bind(Stamp(after));
    }
    if let Some(before) = filter.created_before {
        query.push(" AND created_at <= ").bind(Stamp(before));
    }
    query.push(match filter.order {
        ArtifactOrder::NewestFirst => " ORDER BY created_at DESC, artifact_id DESC",
        ArtifactOrder::OldestFirst => " ORDER BY created_at, artifact_id",
    });
    if filter.limit > 0 {
        query.push(" LIMIT ").bind(limit(filter.limit));
    }
    query
}
