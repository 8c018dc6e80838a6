//! Metadata of artifacts. Bytes are blobs by content hash; these rows say what they are and to whom they belong.

use std::sync::Arc;

use ag_types::{TenantScope, Timestamp};
use async_trait::async_trait;

use crate::Result;

/// One artifact. Typed columns are search copies of `meta`.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRow {
    /// First 32 hex digits of sha256(run id + NUL + content).
    pub artifact_id: String,
    /// Owner: a run id or a memory owner id; none for free artifacts.
    pub run_id: Option<String>,
    /// sha256 of the content.
    pub blob_id: String,
    /// MIME type.
    pub content_type: String,
    /// Size in bytes.
    pub size_bytes: i64,
    /// Time of storing.
    pub created_at: Timestamp,
    /// `descriptor.semantic_kind`.
    pub semantic_kind: String,
    /// `descriptor.render_kind`.
    pub render_kind: String,
    /// `descriptor.modality`.
    pub modality: String,
    /// Tag `session_id`.
    pub session_id: Option<String>,
    /// Whole metadata object, JSON text.
    pub meta: Arc<str>,
}

/// Filter on typed columns; everything else is decided above the store on `meta`.
#[derive(Debug, Clone, Default)]
pub struct ArtifactFilter {
    /// Owners (a run and its session memory, say); empty = any.
    pub run_ids: Vec<String>,
    /// Tag `session_id` equal to this, *or* one of `run_ids`.
    pub or_session_id: Option<String>,
    /// Inclusive lower bound.
    pub created_after: Option<Timestamp>,
    /// Inclusive upper bound.
    pub created_before: Option<Timestamp>,
    /// Order by `(created_at, artifact_id)`.
    pub order: ArtifactOrder,
    /// At most this many; 0 = all.
    pub limit: usize,
}

/// Direction of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArtifactOrder {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// Artifact metadata.
#[async_trait]
pub trait ArtifactIndex: Send + Sync {
    /// Inserts or replaces.
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()>;
    /// One artifact.
    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>>;
    /// A listing.
    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>>;
    /// Replaces `meta` alone (access counters); `false` if absent.
    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool>;
    /// Deletes all artifacts of some owners; the blob ids that no artifact of the plane refers to any more.
    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)>;
    /// Those of `blob_ids` that an artifact or a run (its bundle) of the plane names, in any order. Documents, which
    /// name blobs inside their text, are the caller's to read. Not for hot paths: it may read every run of the plane.
    async fn blobs_in_use(&self, scope: &TenantScope, blob_ids: &[String]) -> Result<Vec<String>>;
}
