//! Artifacts: metadata files and the bytes that they name, in the reference's present and former layout.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use ag_artifacts::{ArtifactMeta, BlobId, BlobStore, Descriptor, DescriptorInput};
use ag_bundles::Object;
use ag_effects::artifacts::{blob_scope, row_of};
use ag_store::ArtifactRow;
use ag_types::{TenantScope, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::{apply::WRITE, report::Report, source};
use crate::{
    ImportError,
    json::{self, Repairs},
};

/// Largest flow that is read from a snapshot.
const MAX_SNAPSHOT: u64 = 16 * 1024 * 1024;

/// An artifact of the source.
#[derive(Debug, Clone)]
pub(super) struct FoundArtifact {
    /// Metadata file.
    meta: PathBuf,
    /// File with the bytes.
    bytes: PathBuf,
    /// The flow that it is a snapshot of.
    snapshot_of: Option<String>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<TagValues>,
    #[serde(default)]
    blob_id: Option<String>,
}

#[derive(Deserialize)]
struct TagValues {
    #[serde(default)]
    kind: Option<Value>,
    #[serde(default)]
    workflow_id: Option<Value>,
}

/// All artifacts of a plane whose bytes exist.
pub(super) fn find(data: &Path, report: &mut Report) -> Result<Vec<FoundArtifact>, ImportError> {
    let root = data.join("artifacts");
    let (mut found, mut broken) = (Vec::new(), 0u64);
    let present = source::files(&root.join("refs"), "meta")?;
    let former = source::files(&root, "meta")?;
    for (meta, legacy) in present
        .into_iter()
        .map(|path| (path, false))
        .chain(former.into_iter().map(|path| (path, true)))
    {
        let bytes = std::fs::read(&meta).map_err(ImportError::read(&meta))?;
        let text = json::document(&bytes, &mut Repairs::default()).ok();
        let Some(tags) = text.and_then(|text| serde_json::from_str::<Tags>(&text).ok()) else {
            broken += 1;
            continue;
        };
        let blob = tags.blob_id.as_deref().and_then(BlobId::parse);
        let bytes = match (blob, legacy) {
            (Some(blob), _) if root.join("blobs").join(format!("{blob}.bin")).is_file() => {
                root.join("blobs").join(format!("{blob}.bin"))
            }
            _ => meta.with_extension("bin"),
        };
        if !bytes.is_file() {
            broken += 1;
            continue;
        }
        let snapshot_of = tags.tags.and_then(|tags| {
            let is_snapshot = tags.kind.as_ref().and_then(Value::as_str) == Some("workflow_snapshot");
            tags.workflow_id?
                .as_str()
                .filter(|_| is_snapshot)
                .map(str::to_owned)
        });
        found.push(FoundArtifact {
            meta,
            bytes,
            snapshot_of,
        });
    }
    if broken > 0 {
        report.warn(format!(
            "{broken} artifacts have unreadable metadata or no bytes and are left out"
        ));
    }
    Ok(found)
}

/// The flow in the newest snapshot of `workflow_id`.
pub(super) fn snapshot(artifacts: &[FoundArtifact], workflow_id: &str) -> Option<Object> {
    let candidates = artifacts
        .iter()
        .filter(|artifact| artifact.snapshot_of.as_deref() == Some(workflow_id));
    candidates.rev().find_map(|artifact| {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&artifact.bytes).ok()?;
        file.take(MAX_SNAPSHOT).read_to_end(&mut bytes).ok()?;
        let text = json::document(&bytes, &mut Repairs::default()).ok()?;
        match serde_json::from_str::<Value>(&text)
            .ok()?
            .get_mut("visualflow")?
            .take()
        {
            Value::Object(flow) => Some(flow),
            _ => None,
        }
    })
}

/// What became of an artifact.
pub(super) struct StoredArtifact {
    pub(super) row: ArtifactRow,
    /// The bytes were not there before.
    pub(super) copied: bool,
}

/// Stores the bytes and makes the row; `None` if the metadata cannot be read after all.
///
/// # Errors
/// The file or the blob store fails.
pub(super) async fn store(
    blobs: &dyn BlobStore,
    scope: &TenantScope,
    artifact: &FoundArtifact,
) -> Result<Option<StoredArtifact>, ImportError> {
    let bytes = tokio::fs::read(&artifact.meta)
        .await
        .map_err(ImportError::read(&artifact.meta))?;
    let text = json::document(&bytes, &mut Repairs::default()).ok();
    let Some(mut meta) = text.and_then(|text| serde_json::from_str::<ArtifactMeta>(&text).ok()) else {
        return Ok(None);
    };
    let size = tokio::fs::metadata(&artifact.bytes)
        .await
        .map_err(ImportError::read(&artifact.bytes))?
        .len();
    let place = blob_scope(scope);
    let known = match BlobId::parse(&meta.blob_id) {
        Some(id) => blobs.size(&place, &id).await? == Some(size),
        None => false,
    };
    if !known {
        let file = tokio::fs::File::open(&artifact.bytes)
            .await
            .map_err(ImportError::read(&artifact.bytes))?;
        let stream = ReaderStream::with_capacity(file, 128 * 1024)
            .into_stream()
            .boxed();
        ag_failpoints::hit_of(WRITE, &["blob"]);
        let stored = blobs.put_stream(&place, stream, u64::MAX).await?;
        meta.blob_id = stored.id.to_string();
        meta.size_bytes = stored.size;
    }
    if meta.descriptor.semantic_kind.is_empty() {
        meta.descriptor = Descriptor::derive(DescriptorInput {
            content_type: &meta.content_type,
            tags: &meta.tags,
            run_id: meta.run_id.as_deref(),
            declared: None,
            media: Default::default(),
        });
    }
    let created_at = Timestamp::parse(&meta.created_at).unwrap_or(Timestamp::from_micros(0));
    Ok(Some(StoredArtifact {
        row: row_of(&meta, created_at),
        copied: !known,
    }))
}
