//! Blobs in a folder: `<root>/<tenant>/<runtime>/artifacts/blobs/<2 hex>/<64 hex>`, retired copies in
//! `…/artifacts/retired/<2 hex>/<64 hex>.<20 digits>`.
//!
//! A write goes to a temporary file beside its target's folder, is synced, renamed into place, and
//! the folder is synced: after `put` returned, a power cut does not lose the blob, and a crash in
//! between leaves only a temporary file (`.tmp-…`), which [`BlobMaintenance::sweep_leftovers`] removes.
//! Files are never changed after the rename; retiring and restoring are renames too.

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
    BlobError, BlobId, BlobInfo, BlobMaintenance, BlobReader, BlobStore, ByteRange, ByteStream, RetiredAt,
    RetiredBlob, ScopeKey, StoredBlob,
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

    fn folder(&self, scope: &ScopeKey) -> PathBuf {
        self.root.join(scope.as_str()).join("artifacts").join("blobs")
    }

    fn retired_folder(&self, scope: &ScopeKey) -> PathBuf {
        self.root.join(scope.as_str()).join("artifacts").join("retired")
    }

    fn retired_path(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> PathBuf {
        let id = id.to_string();
        self.retired_folder(scope)
            .join(&id[..2])
            .join(format!("{id}.{}", at.name()))
    }

    /// Does `work` with the file of a blob, or with a retired copy of it.
    fn found<T>(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        work: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        // Twice, because a collection may restore a copy between the two looks.
        for _ in 0..2 {
            if let Some(found) = present(work(&self.path(scope, id)))? {
                return Ok(Some(found));
            }
            let text = id.to_string();
            let shard = self.retired_folder(scope).join(&text[..2]);
            let Some(entries) = present(fs::read_dir(&shard))? else {
                return Ok(None);
            };
            let copy = names(entries)?.into_iter().find(|name| name.starts_with(&text));
            let Some(copy) = copy else { return Ok(None) };
            if let Some(found) = present(work(&shard.join(copy)))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
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
        let (this, scope, id) = (self.clone(), scope.clone(), *id);
        let found = blocking("reading", id.to_string(), move || {
            this.found(&scope, &id, |path| fs::read(path))
        });
        Ok(found.await?.map(Bytes::from))
    }

    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        let (this, scope, id) = (self.clone(), scope.clone(), *id);
        let opened = blocking("reading", id.to_string(), move || {
            let Some(mut file) = this.found(&scope, &id, |path| File::open(path))? else {
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
        let (this, scope, id) = (self.clone(), scope.clone(), *id);
        let found = blocking("reading", id.to_string(), move || {
            this.found(&scope, &id, |path| fs::metadata(path))
        });
        Ok(found.await?.map(|metadata| metadata.len()))
    }
}

#[async_trait]
impl BlobMaintenance for LocalBlobs {
    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        let folder = self.folder(scope);
        let after = after.map(ToString::to_string);
        blocking("listing", scope.to_string(), move || {
            walk(&folder, after.as_deref(), limit, |name, metadata| {
                Some(BlobInfo {
                    id: BlobId::parse(name)?,
                    size: metadata.len(),
                    modified: metadata.modified().ok()?,
                })
            })
        })
        .await
    }

    async fn retire(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Result<bool, BlobError> {
        let (from, to) = (self.path(scope, id), self.retired_path(scope, id, at));
        blocking("retiring", id.to_string(), move || rename(&from, &to)).await
    }

    async fn retired(
        &self,
        scope: &ScopeKey,
        after: Option<&RetiredBlob>,
        limit: usize,
    ) -> Result<Vec<RetiredBlob>, BlobError> {
        let folder = self.retired_folder(scope);
        let after = after.map(|copy| format!("{}.{}", copy.id, copy.at.name()));
        blocking("listing", scope.to_string(), move || {
            walk(&folder, after.as_deref(), limit, |name, metadata| {
                let (id, at) = name.split_once('.')?;
                Some(RetiredBlob {
                    id: BlobId::parse(id)?,
                    at: RetiredAt::parse(at)?,
                    size: metadata.len(),
                })
            })
        })
        .await
    }

    async fn restore(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let (from, to) = (
            self.retired_path(scope, &copy.id, copy.at),
            self.path(scope, &copy.id),
        );
        blocking("restoring", copy.id.to_string(), move || {
            if to.exists() {
                return Ok(present(fs::remove_file(&from))?.is_some());
            }
            // Onto a blob that was put this very moment: the content is the same.
            rename(&from, &to)
        })
        .await
    }

    async fn discard(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let path = self.retired_path(scope, &copy.id, copy.at);
        blocking("discarding", copy.id.to_string(), move || {
            Ok(present(fs::remove_file(path))?.is_some())
        })
        .await
    }

    async fn sweep_leftovers(&self, scope: &ScopeKey, age: Duration) -> Result<usize, BlobError> {
        let folder = self.folder(scope);
        blocking("sweeping", scope.to_string(), move || sweep(&folder, age)).await
    }
}

/// Removes temporary files that crashed writes left.
fn sweep(folder: &Path, age: Duration) -> io::Result<usize> {
    let Some(entries) = present(fs::read_dir(folder))? else {
        return Ok(0);
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        // Published since the folder was read: no leftover.
        let Some(metadata) = present(entry.metadata())? else {
            continue;
        };
        if metadata.modified()?.elapsed().unwrap_or_default() >= age {
            removed += usize::from(present(fs::remove_file(entry.path()))?.is_some());
        }
    }
    Ok(removed)
}

/// Renames durably, making the target's folder; `false` if there was nothing to rename.
fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder)?;
    if present(fs::rename(from, to))?.is_none() {
        return Ok(false);
    }
    sync_folder(folder)?;
    Ok(true)
}

/// Walks the two-digit folders in order and stops once the page is full. `read` makes an entry of a file's name and
/// metadata, `None` for foreign files.
fn walk<T>(
    folder: &Path,
    after: Option<&str>,
    limit: usize,
    read: impl Fn(&str, &fs::Metadata) -> Option<T>,
) -> io::Result<Vec<T>> {
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
            // Removed since the folder was read: not listed.
            if let Some(metadata) = present(fs::metadata(folder.join(&shard).join(&name)))? {
                page.extend(read(&name, &metadata));
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
                .sweep_leftovers(&scope, Duration::from_secs(3600))
                .await
                .expect("swept"),
            0
        );
        assert_eq!(
            blobs
                .sweep_leftovers(&scope, Duration::ZERO)
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
