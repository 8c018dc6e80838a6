//! Blobs in a folder: `<root>/<tenant>/<runtime>/artifacts/blobs/<2 hex>/<64 hex>`.
//!
//! A write goes to a temporary file beside its target's folder, is synced, renamed into place, and
//! the folder is synced: after `put` returned, a power cut does not lose the blob, and a crash in
//! between leaves only a temporary file (`.tmp-…`), which [`LocalBlobs::sweep_temporary`] removes.
//! Files are never changed after the rename.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    BlobError, BlobId, BlobInfo, BlobReader, BlobStore, ByteRange, ByteStream, ScopeKey, StoredBlob,
};

const TEMPORARY_PREFIX: &str = ".tmp-";

/// Bytes per read of a stream; large enough that the hand-over to the blocking pool is cheap.
const CHUNK: usize = 128 * 1024;

/// A folder on this machine, or on a file system that all nodes mount.
#[derive(Debug, Clone)]
pub struct LocalBlobs {
    root: PathBuf,
}

impl LocalBlobs {
    /// Makes no folder yet; each is made at the first write of its scope.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a blob lies, for tools that read the folder directly.
    pub fn path(&self, scope: &ScopeKey, id: &BlobId) -> PathBuf {
        let name = id.to_string();
        self.folder(scope).join(&name[..2]).join(name)
    }

    /// Removes temporary files that crashed writes left, if older than `age`; how many.
    pub async fn sweep_temporary(&self, scope: &ScopeKey, age: Duration) -> Result<usize, BlobError> {
        let folder = self.folder(scope);
        blocking("sweeping", scope.to_string(), move || {
            let Some(entries) = present(fs::read_dir(&folder))? else {
                return Ok(0);
            };
            let mut removed = 0;
            for entry in entries {
                let entry = entry?;
                let old = || {
                    entry
                        .metadata()?
                        .modified()
                        .map(|time| time.elapsed().unwrap_or_default() >= age)
                };
                if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) && old()? {
                    removed += usize::from(present(fs::remove_file(entry.path()))?.is_some());
                }
            }
            Ok(removed)
        })
        .await
    }

    fn folder(&self, scope: &ScopeKey) -> PathBuf {
        self.root.join(scope.as_str()).join("artifacts").join("blobs")
    }
}

#[async_trait]
impl BlobStore for LocalBlobs {
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError> {
        let this = self.clone();
        let scope = scope.clone();
        blocking("writing to", scope.to_string(), move || {
            let id = BlobId::of(&content);
            let size = content.len() as u64;
            let target = this.path(&scope, &id);
            if !refresh(&target, size)? {
                let mut file = temporary(&this.folder(&scope))?;
                file.write_all(&content)?;
                publish(file, &target)?;
            }
            Ok(StoredBlob { id, size })
        })
        .await
    }

    async fn put_stream(
        &self,
        scope: &ScopeKey,
        mut content: ByteStream,
        max_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        let folder = self.folder(scope);
        let subject = scope.to_string();
        let mut file = blocking("writing to", subject.clone(), move || temporary(&folder)).await?;
        let mut hash = Sha256::new();
        let mut size = 0u64;
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(BlobError::Source)?;
            size += chunk.len() as u64;
            if size > max_bytes {
                return Err(BlobError::TooLarge { limit: max_bytes });
            }
            // The temporary file travels with the work and removes itself if anything fails.
            (file, hash) = blocking("writing to", subject.clone(), move || {
                file.write_all(&chunk)?;
                hash.update(&chunk);
                Ok((file, hash))
            })
            .await?;
        }
        let id = BlobId::from_digest(hash);
        let target = self.path(scope, &id);
        blocking("writing to", subject, move || {
            if !refresh(&target, size)? {
                publish(file, &target)?;
            }
            Ok(StoredBlob { id, size })
        })
        .await
    }

    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError> {
        let path = self.path(scope, id);
        let found = blocking("reading", id.to_string(), move || present(fs::read(path))).await?;
        Ok(found.map(Bytes::from))
    }

    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        let path = self.path(scope, id);
        let opened = blocking("reading", id.to_string(), move || {
            let Some(mut file) = present(File::open(path))? else {
                return Ok(None);
            };
            let size = file.metadata()?.len();
            let (start, length) = range.within(size);
            file.seek(SeekFrom::Start(start))?;
            Ok(Some((file, size, length)))
        })
        .await?;
        Ok(opened.map(|(file, size, length)| {
            let reader = tokio::fs::File::from_std(file).take(length);
            BlobReader {
                size,
                length,
                stream: ReaderStream::with_capacity(reader, CHUNK).into_stream().boxed(),
            }
        }))
    }

    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError> {
        let path = self.path(scope, id);
        let found = blocking("reading", id.to_string(), move || present(fs::metadata(path))).await?;
        Ok(found.map(|metadata| metadata.len()))
    }

    async fn delete(&self, scope: &ScopeKey, id: &BlobId) -> Result<bool, BlobError> {
        let path = self.path(scope, id);
        let removed = blocking("deleting", id.to_string(), move || present(fs::remove_file(path))).await?;
        Ok(removed.is_some())
    }

    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        let folder = self.folder(scope);
        let after = after.map(ToString::to_string);
        blocking("listing", scope.to_string(), move || {
            list(&folder, after.as_deref(), limit)
        })
        .await
    }
}

/// Walks the two-digit folders in order and stops once the page is full.
fn list(folder: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<BlobInfo>> {
    let mut page = Vec::new();
    let Some(entries) = present(fs::read_dir(folder))? else {
        return Ok(page);
    };
    let mut shards = names(entries)?;
    shards.retain(|name| name.len() == 2 && after.is_none_or(|after| name.as_str() >= &after[..2]));
    shards.sort();
    for shard in shards {
        let Some(entries) = present(fs::read_dir(folder.join(&shard)))? else {
            continue;
        };
        let mut blobs = names(entries)?;
        blobs.retain(|name| after.is_none_or(|after| name.as_str() > after));
        blobs.sort();
        for name in blobs {
            if page.len() >= limit {
                return Ok(page);
            }
            let Some(id) = BlobId::parse(&name) else { continue };
            // Deleted since the folder was read: not listed.
            if let Some(metadata) = present(fs::metadata(folder.join(&shard).join(&name)))? {
                page.push(BlobInfo {
                    id,
                    size: metadata.len(),
                    modified: metadata.modified()?,
                });
            }
        }
    }
    Ok(page)
}

fn names(entries: fs::ReadDir) -> io::Result<Vec<String>> {
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// `None` for "not found", which is an answer and not a failure.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes an existing blob of the right size young again; `false` if it has to be written. A wrong
/// size means the medium lost bytes, and writing again repairs it.
fn refresh(target: &Path, size: u64) -> io::Result<bool> {
    let Some(file) = present(File::open(target))? else {
        return Ok(false);
    };
    if file.metadata()?.len() != size {
        return Ok(false);
    }
    // Read-only media refuse; then there is no collection either.
    let _ = file.set_modified(SystemTime::now());
    // A collection may have removed it since it was opened.
    Ok(target.exists())
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(folder)?;
    tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(folder)
}

fn publish(file: NamedTempFile, target: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    if let Some(shard) = target.parent() {
        let is_new = !shard.exists();
        fs::create_dir_all(shard)?;
        file.persist(target).map_err(|error| error.error)?;
        sync_folder(shard)?;
        if let Some(folder) = shard.parent().filter(|_| is_new) {
            sync_folder(folder)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

async fn blocking<T: Send + 'static>(
    action: &'static str,
    subject: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let result = match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is shutting down, or the work panicked.
        Err(error) => Err(io::Error::other(error)),
    };
    result.map_err(BlobError::store(action, subject))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::blob::conformance;

    fn fixture() -> (tempfile::TempDir, LocalBlobs, ScopeKey) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let blobs = LocalBlobs::new(folder.path());
        (folder, blobs, ScopeKey::plane("default", "default"))
    }

    #[tokio::test]
    async fn conforms() {
        let (_folder, blobs, _) = fixture();
        conformance::check(&blobs).await;
    }

    #[tokio::test]
    async fn layout() {
        let (folder, blobs, scope) = fixture();
        let stored = blobs
            .put(&scope, Bytes::from_static(b"abc"))
            .await
            .expect("written");
        let id = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(stored.id.to_string(), id);
        let path = folder.path().join("default/default/artifacts/blobs/ba").join(id);
        assert_eq!(fs::read(path).expect("blob"), b"abc");
    }

    #[tokio::test]
    async fn failed_streams_leave_nothing_and_old_leftovers_are_swept() {
        let (_folder, blobs, scope) = fixture();
        let broken = stream::iter([Ok(Bytes::from_static(b"abc")), Err(io::Error::other("cut"))]).boxed();
        assert!(matches!(
            blobs.put_stream(&scope, broken, 100).await,
            Err(BlobError::Source(_))
        ));
        let area = blobs.folder(&scope);
        assert_eq!(fs::read_dir(&area).expect("made by the write").count(), 0);
        fs::write(area.join(".tmp-left"), b"half").expect("written");
        assert_eq!(blobs.list(&scope, None, 10).await.expect("listed"), []);
        assert_eq!(
            blobs
                .sweep_temporary(&scope, Duration::from_secs(3600))
                .await
                .expect("swept"),
            0
        );
        assert_eq!(
            blobs
                .sweep_temporary(&scope, Duration::ZERO)
                .await
                .expect("swept"),
            1
        );
    }

    #[tokio::test]
    async fn a_damaged_blob_is_repaired_by_writing_it_again() {
        let (_folder, blobs, scope) = fixture();
        let content = Bytes::from_static(b"abcdef");
        let stored = blobs.put(&scope, content.clone()).await.expect("written");
        fs::write(blobs.path(&scope, &stored.id), b"abc").expect("damaged");
        blobs.put(&scope, content.clone()).await.expect("written");
        assert_eq!(blobs.get(&scope, &stored.id).await.expect("read"), Some(content));
    }

    #[tokio::test]
    async fn writing_again_makes_a_blob_young() {
        let (_folder, blobs, scope) = fixture();
        let content = Bytes::from_static(b"abc");
        let stored = blobs.put(&scope, content.clone()).await.expect("written");
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let file = File::options()
            .write(true)
            .open(blobs.path(&scope, &stored.id))
            .expect("blob");
        file.set_modified(old).expect("own file");
        assert_eq!(
            blobs.list(&scope, None, 1).await.expect("listed")[0].modified,
            old
        );
        blobs.put(&scope, content).await.expect("written");
        assert!(blobs.list(&scope, None, 1).await.expect("listed")[0].modified > old);
    }
}
