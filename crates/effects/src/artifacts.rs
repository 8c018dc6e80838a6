//! Storing artifacts: bytes first, then the row that the commit carries.

use std::io::ErrorKind;
use std::time::Duration;

use ag_artifacts::{ArtifactMeta, BlobError, BlobStore, NewArtifact, ScopeKey};
use ag_store::{ArtifactRow, StoreError};
use ag_types::{TenantScope, Timestamp};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::handler::Failure;

/// Pauses before bytes that could not be stored are stored again, each twice the one before: about 25 s in all.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(12_800);

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
    ag_failpoints::hit("artifact.blob_written");
    let row = row_of(&meta, now);
    Ok((meta, row))
}

/// As [`store_artifact`], for what was paid for already: asking for it once more would cost once more, so an outage of
/// the blob store is waited for.
///
/// # Errors
/// [`BlobError`] when it does not pass in time.
pub async fn store_made(
    blobs: &dyn BlobStore,
    scope: &TenantScope,
    new: NewArtifact,
    content: Bytes,
    now: Timestamp,
    cancel: &CancellationToken,
) -> Result<(ArtifactMeta, ArtifactRow), BlobError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match store_artifact(blobs, scope, new.clone(), content.clone(), now).await {
            Err(error) if passes(&error) && pause <= LAST_PAUSE => error,
            done => return done,
        };
        tracing::warn!(%error, "storing an artifact again");
        tokio::select! {
            () = cancel.cancelled() => return Err(error),
            () = tokio::time::sleep(pause) => pause *= 2,
        }
    }
}

/// Whether the medium may be there again later. What a file system says of a path does not change by itself.
fn passes(error: &BlobError) -> bool {
    let BlobError::Store { source, .. } = error else {
        return false;
    };
    !matches!(
        source.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::ReadOnlyFilesystem
    )
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match passes(&error) {
            true => Self::Store(StoreError::Unavailable(error.to_string())),
            false => Self::Text(error.to_string()),
        }
    }
}
