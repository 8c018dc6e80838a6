//! What `read_file` has shown becomes an attachment of the session, so that later turns can open it again.

use ag_artifacts::{
    ArtifactMeta, BlobError, BlobId, BlobStore, NewArtifact, Tags, guess_content_type, session_memory_run_id,
};
use ag_store::{ArtifactRow, OwnerRow};
use ag_types::{TenantScope, Timestamp};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::handle::{display_handle, short_sha};

/// A file that was read.
#[derive(Debug, Clone)]
pub struct KeepFile<'a> {
    /// Session that gets it.
    pub session_id: &'a str,
    /// How the model may name it: the path below the workspace.
    pub handle: &'a str,
    /// Tag `source`: the tool.
    pub source: &'a str,
    /// Its bytes.
    pub content: Bytes,
}

/// A kept file, for the caller's commit.
#[derive(Debug)]
pub struct Kept {
    /// What was stored.
    pub meta: ArtifactMeta,
    /// Its row.
    pub row: ArtifactRow,
    /// The session's memory owner, to be created where it is absent.
    pub owner: OwnerRow,
}

impl Kept {
    /// What stands in the place of an output that is too large.
    pub fn stub(&self, tool: &str) -> String {
        let id = &self.meta.artifact_id;
        format!(
            "[{tool}]: (stored as attachment) @{} (id={id}, sha={}). Use open_attachment(artifact_id='{id}', start_line=1, \
             end_line=200) to read parts of it.",
            display_handle(&self.meta),
            short_sha(&self.meta)
        )
    }
}

/// Stores the bytes and makes the rows. The same content under the same session replaces its metadata.
///
/// # Errors
/// [`BlobError`] when the bytes cannot be stored.
pub async fn keep_read_file(
    blobs: &dyn BlobStore,
    scope: &TenantScope,
    file: KeepFile<'_>,
    now: Timestamp,
    cancel: &CancellationToken,
) -> Result<Kept, BlobError> {
    let owner_id = session_memory_run_id(file.session_id);
    let filename = file.handle.rsplit('/').next().unwrap_or(file.handle);
    let sha256 = BlobId::of(&file.content).to_string();
    let tags: Tags = [
        ("kind", "attachment"),
        ("path", file.handle),
        ("filename", filename),
        ("sha256", &sha256),
        ("source", file.source),
        ("session_id", file.session_id),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let content_type = match guess_content_type(filename) {
        // It was shown as text, whatever its name says.
        guess if guess == ag_artifacts::OCTET_STREAM => "text/plain".to_owned(),
        guess => guess,
    };
    let new = NewArtifact {
        run_id: Some(owner_id.clone()),
        content_type,
        tags,
        ..NewArtifact::default()
    };
    let (meta, row) = crate::artifacts::store_made(blobs, scope, new, file.content, now, cancel).await?;
    let owner = OwnerRow {
        owner_id,
        session_id: Some(file.session_id.to_owned()),
        created_at: now,
        updated_at: now,
    };
    Ok(Kept { meta, row, owner })
}
