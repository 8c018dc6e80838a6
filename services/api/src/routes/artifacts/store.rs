//! Storing a file for a session: blob, then row, then the answer of all uploads and imports.

use ag_artifacts::{ArtifactMeta, ContentFacts, NewArtifact, Tags, canonical_reference};
use ag_effects::artifacts::{blob_scope, row_of};
use serde::Serialize;
use serde_json::Value;

use super::owner::session_owner;
use crate::{ApiError, ApiResult, CallContext, spool::Spool};

/// The answer of an upload or import.
#[derive(Serialize)]
pub(super) struct Stored {
    ok: bool,
    run_id: String,
    artifact: Value,
    metadata: ArtifactMeta,
    /// Same as `artifact`, for attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<Value>,
}

impl Stored {
    /// With the reference repeated as `attachment`.
    pub(super) fn into_attachment(mut self) -> Self {
        self.attachment = Some(self.artifact.clone());
        self
    }
}

/// Stores `content` for a session; `tags` are made of its hash. The same bytes again refresh the metadata under the
/// same id.
pub(super) async fn store(
    ctx: &CallContext,
    session_id: &str,
    content_type: String,
    content: Spool,
    tags: impl FnOnce(&str) -> Tags,
) -> ApiResult<Stored> {
    let owner = session_owner(ctx, session_id).await?;
    let unread = |error| ApiError::internal("reading what is to be stored", &error);
    let media = content.media(&content_type).await.map_err(unread)?;
    let (bytes, id) = content.stream(&owner.id).await.map_err(unread)?;
    let blob = ctx
        .blobs()
        .put_stream(&blob_scope(ctx.scope()), bytes, u64::MAX)
        .await
        .map_err(|error| ApiError::internal("storing an artifact", &error))?;
    let new = NewArtifact {
        run_id: Some(owner.id.clone()),
        content_type,
        tags: tags(&blob.id.to_string()),
        ..NewArtifact::default()
    };
    let facts = ContentFacts {
        artifact_id: id.finish(),
        blob_id: blob.id,
        size_bytes: blob.size,
        media,
    };
    let now = ctx.now();
    let metadata = ArtifactMeta::of(new, facts, now.to_string());
    ctx.store()
        .put_artifact(ctx.scope(), row_of(&metadata, now))
        .await?;
    let artifact = canonical_reference(&metadata);
    Ok(Stored {
        ok: true,
        run_id: owner.id,
        artifact,
        metadata,
        attachment: None,
    })
}

/// The session a file is stored for.
///
/// # Errors
/// 400 for a blank one.
pub(super) fn session(session_id: &str) -> ApiResult<&str> {
    Some(session_id.trim())
        .filter(|session| !session.is_empty())
        .ok_or_else(|| ApiError::bad_request("session_id is required"))
}
