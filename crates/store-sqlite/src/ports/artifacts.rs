//! Artifact metadata.

use ag_store::{ArtifactFilter, ArtifactIndex, ArtifactOrder, ArtifactRow, Result};
use ag_types::TenantScope;
use async_trait::async_trait;

use super::{count, mismatch};
use crate::{
    db::{Query, Value},
    rows::{ARTIFACT_COLUMNS, artifact},
    store::SqliteStore,
    writer::{Answer, Op},
};

pub(super) const NAMED_BY_ARTIFACT: &str =
    "SELECT 1 FROM artifacts WHERE plane_id = ? AND blob_id = ? LIMIT 1";
pub(super) const NAMED_BY_RUN: &str = "SELECT 1 FROM runs WHERE plane_id = ? AND bundle_sha256 = ? LIMIT 1";

#[async_trait]
impl ArtifactIndex for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.artifact.put_artifact", skip_all)]
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()> {
        self.write(Op::PutArtifact {
            plane: scope.plane,
            row: Box::new(row),
        })
        .await
        .map(|_| ())
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifact", skip_all)]
    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        let sql = format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE plane_id = ? AND artifact_id = ?");
        let values = [scope.plane.into(), Value::text(artifact_id)];
        self.read(|db| db.first(&sql, &values, artifact))
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.artifacts", skip_all)]
    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        let query = filtered(scope, &filter);
        self.scan(move |db| db.query(&query, artifact)).await
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.update_artifact_meta", skip_all)]
    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool> {
        let op = Op::ArtifactMeta {
            plane: scope.plane,
            artifact_id: artifact_id.to_owned(),
            meta: meta.to_owned(),
        };
        match self.write(op).await? {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.delete_artifacts_of", skip_all)]
    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)> {
        let op = Op::DeleteArtifacts {
            plane: scope.plane,
            run_ids: run_ids.to_vec(),
        };
        match self.write(op).await? {
            Answer::Deleted(rows, blobs) => Ok((rows, blobs)),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.artifact.blobs_in_use", skip_all)]
    async fn blobs_in_use(&self, scope: &TenantScope, blob_ids: &[String]) -> Result<Vec<String>> {
        let (plane, blob_ids) = (scope.plane, blob_ids.to_vec());
        self.scan(move |db| {
            let mut used: Vec<String> = Vec::new();
            for id in blob_ids {
                // One look per blob: a bundle may have millions of runs.
                let is_used = [NAMED_BY_ARTIFACT, NAMED_BY_RUN]
                    .into_iter()
                    .try_fold(false, |found, sql| {
                        let values = [plane.into(), (&id).into()];
                        Ok(found || db.first(sql, &values, |row| row.int())?.is_some())
                    });
                if is_used? {
                    used.push(id);
                }
            }
            Ok(used)
        })
        .await
    }
}

fn filtered(scope: &TenantScope, filter: &ArtifactFilter) -> Query {
    let mut query = Query::new("SELECT ");
    query
        .push(ARTIFACT_COLUMNS)
        .push(" FROM artifacts WHERE plane_id = ")
        .bind(scope.plane);
    if !filter.run_ids.is_empty() || filter.or_session_id.is_some() {
        query.push(" AND (run_id IN (").list(&filter.run_ids).push(")");
        if let Some(session) = &filter.or_session_id {
            query.push(" OR session_id = ").bind(session);
        }
        query.push(")");
    }
    if let Some(after) = filter.created_after {
        query.push(" AND created_at >= ").bind(after);
    }
    if let Some(before) = filter.created_before {
        query.push(" AND created_at <= ").bind(before);
    }
    query.push(match filter.order {
        ArtifactOrder::NewestFirst => " ORDER BY created_at DESC, artifact_id DESC",
        ArtifactOrder::OldestFirst => " ORDER BY created_at, artifact_id",
    });
    if filter.limit > 0 {
        query.push(" LIMIT ").bind(count(filter.limit));
    }
    query
}
