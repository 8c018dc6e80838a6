//! Files that belong to a session: artifacts of its memory owner with the tag `kind=attachment` (effects spec §7).
//!
//! * [`session_attachments`] lists them;
//! * [`SessionFiles`] opens one by id or handle for `open_attachment`, and serves tool calls whose path the workspace
//!   refuses but a handle names;
//! * [`keep_read_file`] makes an attachment of what `read_file` has shown.

mod excerpt;
mod handle;
mod keep;
mod media;
mod open;
pub(crate) mod pdf;
mod serve;
#[cfg(test)]
mod tests;

use ag_artifacts::{ArtifactMeta, BlobId, BlobStore, session_memory_run_id};
use ag_store::{ArtifactFilter, ArtifactIndex, StoreError};
use ag_types::TenantScope;
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::handler::Failure;

pub use handle::display_handle;
pub use keep::{KeepFile, Kept, keep_read_file};
pub use open::Opened;

/// Size limit of one attachment, unless the payload, the run or the configuration says otherwise.
pub const MAX_ATTACHMENT_BYTES: u64 = 25 * 1024 * 1024;

/// Artifacts of a session's memory that are looked at; older ones can still be read over HTTP.
const MAX_LISTED: usize = 2000;

/// The attachments of a session, newest first. Rows that cannot be read are left out.
///
/// # Errors
/// [`StoreError`] when the listing fails.
pub async fn session_attachments(
    index: &dyn ArtifactIndex,
    scope: &TenantScope,
    session_id: &str,
) -> Result<Vec<ArtifactMeta>, StoreError> {
    let filter = ArtifactFilter {
        run_ids: vec![session_memory_run_id(session_id)],
        limit: MAX_LISTED,
        ..ArtifactFilter::default()
    };
    let rows = index.artifacts(scope, filter).await?;
    let metas = rows
        .iter()
        .filter_map(|row| serde_json::from_str::<ArtifactMeta>(&row.meta).ok());
    Ok(metas
        .filter(|meta| meta.tag("kind") == Some("attachment"))
        .collect())
}

/// The size limit of a run: payload, then `_runtime.max_attachment_bytes`, then the host's.
pub fn max_bytes(payload: &ag_types::Object, vars: &ag_types::Object, host: u64) -> u64 {
    let own = payload.get("max_attachment_bytes");
    let of_run = ag_kernel::vars::get_path(vars, "_runtime.max_attachment_bytes");
    let positive = |value: &serde_json::Value| ag_pyvalue::opt_int(value).and_then(|n| u64::try_from(n).ok());
    let found = own.and_then(positive).filter(|n| *n > 0);
    found
        .or_else(|| of_run.and_then(positive).filter(|n| *n > 0))
        .unwrap_or(host)
}

/// The attachments of one session, listed at most once.
pub struct SessionFiles<'a> {
    index: &'a dyn ArtifactIndex,
    blobs: &'a dyn BlobStore,
    scope: &'a TenantScope,
    session_id: Option<&'a str>,
    max_bytes: u64,
    listed: OnceCell<Vec<ArtifactMeta>>,
}

impl<'a> SessionFiles<'a> {
    /// Of a session; without one nothing can be opened. Content above `max_bytes` is not read.
    pub fn new(
        index: &'a dyn ArtifactIndex,
        blobs: &'a dyn BlobStore,
        scope: &'a TenantScope,
        session_id: Option<&'a str>,
        max_bytes: u64,
    ) -> Self {
        let session_id = session_id.map(str::trim).filter(|id| !id.is_empty());
        Self {
            index,
            blobs,
            scope,
            session_id,
            max_bytes,
            listed: OnceCell::new(),
        }
    }

    async fn list(&self) -> Result<&[ArtifactMeta], Failure> {
        let session = self.session_id.ok_or("session_id is required")?;
        let load = || async {
            session_attachments(self.index, self.scope, session)
                .await
                .map_err(|error| Failure::of_store(error, "attachments are not available"))
        };
        self.listed.get_or_try_init(load).await.map(Vec::as_slice)
    }

    async fn content(&self, meta: &ArtifactMeta) -> Result<Bytes, Failure> {
        if meta.size_bytes > self.max_bytes {
            let (size, limit) = (meta.size_bytes, self.max_bytes);
            return Err(format!("Attachment too large ({size} bytes > {limit} bytes)").into());
        }
        let missing = || format!("Content of artifact '{}' is missing", meta.artifact_id);
        let id = BlobId::parse(&meta.blob_id).ok_or_else(missing)?;
        let scope = crate::artifacts::blob_scope(self.scope);
        let content = self.blobs.get(&scope, &id).await.map_err(|error| {
            let id = &meta.artifact_id;
            Failure::from(error)
                .worded(|error| format!("Content of artifact '{id}' is not readable: {error}"))
        })?;
        Ok(content.ok_or_else(missing)?)
    }
}
