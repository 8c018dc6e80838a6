//! The adapter.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ag_artifacts::{
    BlobError, BlobId, BlobInfo, BlobMaintenance, BlobReader, BlobStore, ByteRange, ByteStream, RetiredAt,
    RetiredBlob, ScopeKey, StoredBlob,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart, path::Path,
};

use crate::{
    PART_BYTES,
    error::{failed, present},
    spool::Spool,
};

/// Parts of one upload that are under way at a time, each in memory.
const PARTS_AT_ONCE: usize = 3;

/// Blobs in a bucket.
#[derive(Clone)]
pub struct S3Blobs {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// By hand: that of the library shows session tokens.
impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Blobs")
            .field("prefix", &self.prefix.as_ref())
            .finish_non_exhaustive()
    }
}

impl S3Blobs {
    pub(crate) fn new(objects: impl ObjectStore, prefix: Path) -> Self {
        Self {
            objects: Arc::new(objects),
            prefix,
        }
    }

    /// Keys are made of hexadecimal digits and of [`ScopeKey`]s, which are path segments that need no encoding; and
    /// [`Path::join`] would encode the percent signs of a scope again.
    fn key(&self, scope: &ScopeKey, rest: &str) -> Path {
        let parts = [self.prefix.as_ref(), scope.as_str(), "artifacts", rest];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Path::parse(parts.join("/")).expect("the prefix was parsed and the rest is made of safe segments")
    }

    fn folder(&self, scope: &ScopeKey) -> Path {
        self.key(scope, "blobs")
    }

    fn live(&self, scope: &ScopeKey, id: &BlobId) -> Path {
        let id = id.to_string();
        self.key(scope, &format!("blobs/{}/{id}", &id[..2]))
    }

    fn retired_folder(&self, scope: &ScopeKey, id: &BlobId) -> Path {
        let id = id.to_string();
        self.key(scope, &format!("retired/{}/{id}", &id[..2]))
    }

    fn retired_key(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Path {
        self.retired_folder(scope, id).join(at.name())
    }

    /// The blob or a retired copy of it.
    async fn fetch(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        options: impl Fn() -> GetOptions,
    ) -> object_store::Result<Option<GetResult>> {
        // Twice, because a collection may restore a copy between the two looks.
        for _ in 0..2 {
            let live = self.live(scope, id);
            if let Some(found) = present(self.objects.get_opts(&live, options()).await)? {
                return Ok(Some(found));
            }
            let folder = self.retired_folder(scope, id);
            let Some(copy) = self.objects.list(Some(&folder)).try_next().await? else {
                return Ok(None);
            };
            if let Some(found) = present(self.objects.get_opts(&copy.location, options()).await)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn head(&self, key: &Path) -> object_store::Result<Option<ObjectMeta>> {
        present(self.objects.head(key).await)
    }

    /// Uploads in parts; what was sent of a failed upload is taken back.
    async fn upload(&self, key: &Path, mut spool: Spool) -> Result<(), BlobError> {
        let begun = self.objects.put_multipart(key).await;
        let upload = begun.map_err(failed("writing", key))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        loop {
            let sent = writer.wait_for_capacity(PARTS_AT_ONCE).await;
            let next = match sent {
                Ok(()) => spool.part().await,
                Err(error) => Err(io::Error::other(error)),
            };
            match next {
                Ok((rest, Some(part))) => {
                    spool = rest;
                    writer.put(part);
                }
                Ok((_, None)) => break,
                Err(error) => {
                    // The bucket's rule for incomplete uploads comes after us.
                    let _ = writer.abort().await;
                    return Err(BlobError::store("writing", key)(error));
                }
            }
        }
        writer.finish().await.map_err(failed("writing", key))?;
        Ok(())
    }

    /// Objects below `folder` after `after`, in order, at most `limit` that `read` takes.
    async fn walk<T>(
        &self,
        folder: Path,
        after: Option<Path>,
        limit: usize,
        read: impl Fn(&str, &ObjectMeta) -> Option<T>,
    ) -> Result<Vec<T>, BlobError> {
        let mut objects = match &after {
            Some(after) => self.objects.list_with_offset(Some(&folder), after),
            None => self.objects.list(Some(&folder)),
        };
        let mut page = Vec::new();
        while page.len() < limit {
            let next = objects.try_next().await;
            let Some(object) = next.map_err(failed("listing", &folder))? else {
                break;
            };
            page.extend(read(object.location.as_ref(), &object));
        }
        Ok(page)
    }
}

#[async_trait]
impl BlobStore for S3Blobs {
    /// Always written: an object becomes young again by nothing less.
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError> {
        let size = content.len() as u64;
        if content.len() > PART_BYTES {
            let whole = stream::iter([Ok(content)]).boxed();
            return self.put_stream(scope, whole, size).await;
        }
        let id = BlobId::of(&content);
        let key = self.live(scope, &id);
        let put = self.objects.put(&key, content.into()).await;
        put.map_err(failed("writing", &key))?;
        Ok(StoredBlob { id, size })
    }

    async fn put_stream(
        &self,
        scope: &ScopeKey,
        content: ByteStream,
        max_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        let spool = Spool::read(content, max_bytes, scope.as_str()).await?;
        let blob = spool.blob;
        let key = self.live(scope, &blob.id);
        if blob.size > PART_BYTES as u64 {
            self.upload(&key, spool).await?;
        } else {
            let (_, whole) = spool.part().await.map_err(BlobError::store("writing", &key))?;
            let put = self.objects.put(&key, whole.unwrap_or_default().into()).await;
            put.map_err(failed("writing", &key))?;
        }
        Ok(blob)
    }

    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError> {
        let found = self.fetch(scope, id, GetOptions::default).await;
        match found.map_err(failed("reading", id))? {
            Some(found) => Ok(Some(found.bytes().await.map_err(failed("reading", id))?)),
            None => Ok(None),
        }
    }

    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        // A range beyond the end is an error of the protocol, so the size is asked first; the whole needs no range.
        let wanted = match range {
            ByteRange::ALL => None,
            range => {
                let Some(size) = self.size(scope, id).await? else {
                    return Ok(None);
                };
                let (start, length) = range.within(size);
                if length == 0 {
                    return Ok(Some(BlobReader {
                        size,
                        length,
                        stream: stream::empty().boxed(),
                    }));
                }
                Some(start..start + length)
            }
        };
        let options = || GetOptions {
            range: wanted.clone().map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = self.fetch(scope, id, options).await;
        let found = found.map_err(failed("reading", id))?;
        Ok(found.map(|found| BlobReader {
            size: found.meta.size,
            length: found.range.end - found.range.start,
            stream: found.into_stream().map_err(io::Error::other).boxed(),
        }))
    }

    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError> {
        let head = || GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let found = self.fetch(scope, id, head).await;
        Ok(found.map_err(failed("reading", id))?.map(|found| found.meta.size))
    }
}

#[async_trait]
impl BlobMaintenance for S3Blobs {
    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        let after = after.map(|id| self.live(scope, id));
        self.walk(self.folder(scope), after, limit, |key, object| {
            Some(BlobInfo {
                id: BlobId::parse(key.rsplit('/').next()?)?,
                size: object.size,
                modified: SystemTime::from(object.last_modified),
            })
        })
        .await
    }

    async fn retire(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Result<bool, BlobError> {
        let (live, copy) = (self.live(scope, id), self.retired_key(scope, id, at));
        let copied = present(self.objects.copy(&live, &copy).await);
        if copied.map_err(failed("retiring", id))?.is_none() {
            return Ok(false);
        }
        let deleted = present(self.objects.delete(&live).await);
        deleted.map_err(failed("retiring", id))?;
        Ok(true)
    }

    async fn retired(
        &self,
        scope: &ScopeKey,
        after: Option<&RetiredBlob>,
        limit: usize,
    ) -> Result<Vec<RetiredBlob>, BlobError> {
        let after = after.map(|copy| self.retired_key(scope, &copy.id, copy.at));
        self.walk(self.key(scope, "retired"), after, limit, |key, object| {
            let mut names = key.rsplit('/');
            let at = RetiredAt::parse(names.next()?)?;
            Some(RetiredBlob {
                id: BlobId::parse(names.next()?)?,
                at,
                size: object.size,
            })
        })
        .await
    }

    async fn restore(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let (live, from) = (
            self.live(scope, &copy.id),
            self.retired_key(scope, &copy.id, copy.at),
        );
        let there = self.head(&live).await.map_err(failed("restoring", copy.id))?;
        if there.is_none() {
            let copied = present(self.objects.copy(&from, &live).await);
            if copied.map_err(failed("restoring", copy.id))?.is_none() {
                return Ok(false);
            }
        }
        self.discard(scope, copy).await
    }

    async fn discard(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let key = self.retired_key(scope, &copy.id, copy.at);
        // S3 answers a deletion of nothing like any other.
        let there = self.head(&key).await.map_err(failed("discarding", copy.id))?;
        if there.is_some() {
            let deleted = present(self.objects.delete(&key).await);
            deleted.map_err(failed("discarding", copy.id))?;
        }
        Ok(there.is_some())
    }

    /// Broken uploads leave parts, which only the bucket's own rule sees.
    async fn sweep_leftovers(&self, _: &ScopeKey, _: Duration) -> Result<usize, BlobError> {
        Ok(0)
    }
}
