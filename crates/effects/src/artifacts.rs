//! Storing artifacts: bytes first, then the row that the commit carries.

use ag_artifacts::{ArtifactMeta, BlobError, BlobStore, NewArtifact, ScopeKey};
use ag_store::ArtifactRow;
use ag_types::{TenantScope, Timestamp};
use bytes::Bytes;

/// Key of a plane's blobs.
pub fn blob_scope(scope: &TenantScope) -> ScopeKey {
    ScopeKey::plane(&scope.key.tenant_id, &scope.key.runtime_id)
}

/// The row behind a metadata document: typed columns are search copies.
pub fn row_of(meta: &ArtifactMeta, created_at: Timestamp) -> ArtifactRow {
    ArtifactRow {
        artifact_id: meta.artifact_id.clone(),
        run_id: meta.run_id.clone(),
        blob_id: meta.blob_id.clone(),
        content_type: meta.content_type.clone(),
        size_bytes: i64::try_from(meta.size_bytes).unwrap_or(i64::MAX),
        created_at,
        semantic_kind: meta.descriptor.semantic_kind.clone(),
        render_kind: meta.descriptor.render_kind.clone(),
        modality: meta.descriptor.modality.clone(),
        session_id: meta.tag("session_id").map(str::to_owned),
        // Text, numbers and maps with text keys: this always serialises.
        meta: serde_json::to_string(meta).unwrap_or_default().into(),
    }
}

/// Stores the bytes and makes the row; the caller puts it into its commit.
///
/// # Errors
/// [`BlobError`] when the bytes cannot be stored.
pub async fn store_artifact(
    blobs: &dyn BlobStore,
    scope: &TenantScope,
    new: NewArtifact,
    content: Bytes,
    now: Timestamp,
) -> Result<(ArtifactMeta, ArtifactRow), BlobError> {
    let meta = ArtifactMeta::new(new, &content, now.to_string());
    blobs.put(&blob_scope(scope), content).await?;
    let row = row_of(&meta, now);
    Ok((meta, row))
}
