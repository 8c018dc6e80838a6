//! Blobs in memory, for tests.

use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use parking_lot::Mutex;

use super::{
    BlobError, BlobId, BlobInfo, BlobMaintenance, BlobReader, BlobStore, ByteRange, ByteStream, RetiredAt,
    RetiredBlob, ScopeKey, StoredBlob,
};

#[derive(Debug, Clone)]
struct Entry {
    content: Bytes,
    modified: SystemTime,
}

/// A map behind a lock.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<(ScopeKey, BlobId), Entry>>,
    retired: Mutex<BTreeMap<(ScopeKey, BlobId, RetiredAt), Bytes>>,
}

impl MemoryBlobs {
    /// Number of blobs of all scopes.
    pub fn len(&self) -> usize {
        self.blobs.lock().len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes a blob look as if it had been put `age` ago.
    pub fn age(&self, scope: &ScopeKey, id: &BlobId, age: Duration) {
        if let Some(entry) = self.blobs.lock().get_mut(&(scope.clone(), *id)) {
            entry.modified = entry.modified.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        }
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError> {
        let id = BlobId::of(&content);
        let size = content.len() as u64;
        let entry = Entry {
            content,
            modified: SystemTime::now(),
        };
        self.blobs.lock().insert((scope.clone(), id), entry);
        Ok(StoredBlob { id, size })
    }

    async fn put_stream(
        &self,
        scope: &ScopeKey,
        mut content: ByteStream,
        max_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk.map_err(BlobError::Source)?);
            if bytes.len() as u64 > max_bytes {
                return Err(BlobError::TooLarge { limit: max_bytes });
            }
        }
        self.put(scope, bytes.into()).await
    }

    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError> {
        let live = self
            .blobs
            .lock()
            .get(&(scope.clone(), *id))
            .map(|entry| entry.content.clone());
        let retired = || {
            let retired = self.retired.lock();
            let mut copies = retired.iter();
            let copy = copies.find(|((owner, of, _), _)| owner == scope && of == id);
            copy.map(|(_, content)| content.clone())
        };
        Ok(live.or_else(retired))
    }

    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError> {
        let content = self.get(scope, id).await?;
        Ok(content.map(|content| {
            let size = content.len() as u64;
            let (start, length) = range.within(size);
            // Both are at most the length of a slice in memory.
            let part = content.slice(start as usize..(start + length) as usize);
            let chunks: Vec<io::Result<Bytes>> = if part.is_empty() { vec![] } else { vec![Ok(part)] };
            BlobReader {
                size,
                length,
                stream: stream::iter(chunks).boxed(),
            }
        }))
    }

    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.get(scope, id).await?.map(|content| content.len() as u64))
    }
}

#[async_trait]
impl BlobMaintenance for MemoryBlobs {
    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        let blobs = self.blobs.lock();
        let lowest = BlobId([0; 32]);
        let from = match after {
            Some(after) => Bound::Excluded((scope.clone(), *after)),
            None => Bound::Included((scope.clone(), lowest)),
        };
        let of_scope = blobs
            .range((from, Bound::Unbounded))
            .take_while(|((owner, _), _)| owner == scope);
        Ok(of_scope
            .take(limit)
            .map(|((_, id), entry)| BlobInfo {
                id: *id,
                size: entry.content.len() as u64,
                modified: entry.modified,
            })
            .collect())
    }

    async fn retire(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Result<bool, BlobError> {
        // Both locks, so that a reader finds the content in one map or the other.
        let (mut blobs, mut retired) = (self.blobs.lock(), self.retired.lock());
        let Some(entry) = blobs.remove(&(scope.clone(), *id)) else {
            return Ok(false);
        };
        retired.insert((scope.clone(), *id, at), entry.content);
        Ok(true)
    }

    async fn retired(
        &self,
        scope: &ScopeKey,
        after: Option<&RetiredBlob>,
        limit: usize,
    ) -> Result<Vec<RetiredBlob>, BlobError> {
        let retired = self.retired.lock();
        let copies = retired.iter().filter(|((owner, id, at), _)| {
            owner == scope && after.is_none_or(|after| (*id, *at) > (after.id, after.at))
        });
        Ok(copies
            .take(limit)
            .map(|((_, id, at), content)| RetiredBlob {
                id: *id,
                at: *at,
                size: content.len() as u64,
            })
            .collect())
    }

    async fn restore(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let (mut blobs, mut retired) = (self.blobs.lock(), self.retired.lock());
        let Some(content) = retired.remove(&(scope.clone(), copy.id, copy.at)) else {
            return Ok(false);
        };
        let modified = SystemTime::now();
        blobs
            .entry((scope.clone(), copy.id))
            .or_insert(Entry { content, modified });
        Ok(true)
    }

    async fn discard(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError> {
        let key = (scope.clone(), copy.id, copy.at);
        Ok(self.retired.lock().remove(&key).is_some())
    }

    async fn sweep_leftovers(&self, _: &ScopeKey, _: Duration) -> Result<usize, BlobError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::check(&MemoryBlobs::default()).await;
    }

    #[tokio::test]
    async fn ages() {
        let blobs = MemoryBlobs::default();
        let scope = ScopeKey::plane("t", "r");
        let stored = blobs.put(&scope, Bytes::from_static(b"x")).await.expect("memory");
        blobs.age(&scope, &stored.id, Duration::from_secs(3600));
        let listed = blobs.list(&scope, None, 10).await.expect("memory");
        assert!(listed[0].modified < SystemTime::now() - Duration::from_secs(3000));
    }
}
