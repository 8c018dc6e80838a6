//! The port for bytes.
//!
//! A blob is immutable and named by the SHA-256 of its content, so writing the same bytes twice is
//! one blob, and a reader never sees half of one. Blobs belong to a scope; equal bytes of two scopes
//! are two blobs, so that no scope can tell what another one holds.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod local;
mod memory;
mod retired;

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use local::LocalBlobs;
pub use memory::MemoryBlobs;
pub use retired::{RetiredAt, RetiredBlob};

/// Chunks of a blob, or of content on its way in.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes by scope and content hash.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores `content` under its hash. Idempotent: a blob that is there only becomes young again,
    /// which protects it from a collection that is under way.
    async fn put(&self, scope: &ScopeKey, content: Bytes) -> Result<StoredBlob, BlobError>;

    /// Stores a stream whose hash is known only at its end; over `max_bytes` nothing stays.
    async fn put_stream(
        &self,
        scope: &ScopeKey,
        content: ByteStream,
        max_bytes: u64,
    ) -> Result<StoredBlob, BlobError>;

    /// The whole content; `None` if absent. For what fits into memory.
    async fn get(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<Bytes>, BlobError>;

    /// A reader of all or part of the content; `None` if absent.
    async fn open(
        &self,
        scope: &ScopeKey,
        id: &BlobId,
        range: ByteRange,
    ) -> Result<Option<BlobReader>, BlobError>;

    /// Size in bytes; `None` if absent.
    async fn size(&self, scope: &ScopeKey, id: &BlobId) -> Result<Option<u64>, BlobError>;
}

/// What garbage collection alone may do to a [`BlobStore`].
///
/// Deletion has two steps, because no store can compare and delete: a blob is *retired* (out of the listing, but
/// still readable), and a later collection either *restores* or *discards* it. Whoever put the same bytes while they
/// were being retired has by then written the row that names them.
#[async_trait]
pub trait BlobMaintenance: BlobStore {
    /// Blobs of the scope by ascending id, after `after`, at most `limit`. Retired ones are not listed.
    async fn list(
        &self,
        scope: &ScopeKey,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError>;

    /// Takes a blob out of the listing; reads still find it. `false` if it was absent. A retired copy is never
    /// replaced by a later one: each has its own time `at`.
    async fn retire(&self, scope: &ScopeKey, id: &BlobId, at: RetiredAt) -> Result<bool, BlobError>;

    /// Retired copies by id and time, after `after`, at most `limit`.
    async fn retired(
        &self,
        scope: &ScopeKey,
        after: Option<&RetiredBlob>,
        limit: usize,
    ) -> Result<Vec<RetiredBlob>, BlobError>;

    /// Puts a retired copy back, or drops it if the blob has been put again since. `false` if it was absent.
    async fn restore(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError>;

    /// Removes a retired copy for good; `false` if it was absent.
    async fn discard(&self, scope: &ScopeKey, copy: &RetiredBlob) -> Result<bool, BlobError>;

    /// Removes what broken writes left, if older than `age`; how many.
    async fn sweep_leftovers(&self, scope: &ScopeKey, age: Duration) -> Result<usize, BlobError>;
}

/// Why an operation on bytes failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The content of a stream exceeded the caller's limit.
    #[error("content is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The incoming stream broke; the store is fine.
    #[error("reading the incoming content")]
    Source(#[source] io::Error),
    /// The store's medium failed.
    #[error("blob store: {action} {subject}")]
    Store {
        action: &'static str,
        subject: String,
        #[source]
        source: io::Error,
    },
}

impl BlobError {
    /// Wraps a failure of the medium; `action` is a participle, `subject` what it was done to.
    pub fn store(action: &'static str, subject: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        let subject = subject.to_string();
        move |source| Self::Store {
            action,
            subject,
            source,
        }
    }
}

/// SHA-256 of a content, as 64 lower-case hex digits outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The id of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Reads 64 hex digits; `None` for anything else, so that no path is ever made of foreign text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The id of the bytes that went into `hash`.
    pub fn from_digest(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl Serialize for BlobId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("blob id must be 64 lower-case hex digits"))
    }
}

/// The owner of blobs, usable as a path and as an object key prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeKey(String);

impl ScopeKey {
    /// The key of a plane. Names outside `[a-z0-9_-]` (and dots inside) are percent-encoded, so
    /// different planes have different keys, also on file systems that ignore case.
    pub fn plane(tenant_id: &str, runtime_id: &str) -> Self {
        Self(format!("{}/{}", encode(tenant_id), encode(runtime_id)))
    }

    /// Two segments joined by `/`, safe in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn encode(name: &str) -> String {
    if name.is_empty() {
        // Not an encoding of any other name.
        return "%".to_owned();
    }
    let mut key = String::with_capacity(name.len());
    for (position, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => key.push(byte.into()),
            b'.' if position > 0 => key.push('.'),
            _ => key.push_str(&format!("%{byte:02x}")),
        }
    }
    key
}

/// What a write left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    pub id: BlobId,
    pub size: u64,
}

/// One blob of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    pub id: BlobId,
    pub size: u64,
    /// When it was last put; collection spares the young.
    pub modified: SystemTime,
}

/// Part of a blob; whatever lies beyond its end is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte; `None` = to the end.
    pub end: Option<u64>,
}

impl ByteRange {
    /// All bytes.
    pub const ALL: Self = Self { start: 0, end: None };

    /// First byte and length within a content of `size` bytes.
    pub fn within(self, size: u64) -> (u64, u64) {
        let start = self.start.min(size);
        let end = self.end.unwrap_or(size).clamp(start, size);
        (start, end - start)
    }
}

/// An open blob.
pub struct BlobReader {
    /// Size of the whole blob.
    pub size: u64,
    /// Bytes that the stream yields.
    pub length: u64,
    /// The bytes of the range.
    pub stream: ByteStream,
}

impl BlobReader {
    /// Reads the stream to its end.
    pub async fn bytes(mut self) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        while let Some(chunk) = self.stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_only_hex() {
        let id = BlobId::of(b"abc");
        assert_eq!(BlobId::parse(&id.to_string()), Some(id));
        for bad in [
            "",
            "../x",
            &id.to_string()[1..],
            &id.to_string().to_uppercase(),
            &"g".repeat(64),
        ] {
            assert_eq!(BlobId::parse(bad), None, "{bad}");
        }
        let text = serde_json::to_string(&id).expect("text");
        assert_eq!(serde_json::from_str::<BlobId>(&text).expect("own text"), id);
        assert!(serde_json::from_str::<BlobId>("\"zz\"").is_err());
    }

    #[test]
    fn scope_keys_are_safe_and_distinct() {
        let cases = [
            (("default", "default"), "default/default"),
            (("..", "."), "%2e./%2e"),
            (("a/b", "c\\d"), "a%2fb/c%5cd"),
            (("A", "a"), "%41/a"),
            (("", "x"), "%/x"),
            (("%", "a.b"), "%25/a.b"),
        ];
        for ((tenant, runtime), expected) in cases {
            assert_eq!(ScopeKey::plane(tenant, runtime).as_str(), expected);
        }
    }

    #[test]
    fn ranges_stay_inside() {
        for (range, size, expected) in [
            (ByteRange::ALL, 5, (0, 5)),
            (
                ByteRange {
                    start: 2,
                    end: Some(4),
                },
                5,
                (2, 2),
            ),
            (
                ByteRange {
                    start: 2,
                    end: Some(99),
                },
                5,
                (2, 3),
            ),
            (ByteRange { start: 9, end: None }, 5, (5, 0)),
            (
                ByteRange {
                    start: 4,
                    end: Some(2),
                },
                5,
                (4, 0),
            ),
        ] {
            assert_eq!(range.within(size), expected);
        }
    }
}
