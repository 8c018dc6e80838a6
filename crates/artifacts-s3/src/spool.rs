//! Incoming streams: the name of a blob is the hash of its bytes, so they are spooled before they go up.

use std::io::{self, Read, Seek, SeekFrom, Write};

use ag_artifacts::{BlobError, BlobId, ByteStream, StoredBlob};
use bytes::Bytes;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

/// Bytes of one part of an upload, and what a stream may hold in memory; the rest lies in the folder for temporary
/// files. S3 asks for 5 MiB at least and 10,000 parts at most.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

/// A whole content with its name.
pub(crate) struct Spool {
    file: SpooledTempFile,
    pub(crate) blob: StoredBlob,
}

impl Spool {
    /// Reads the stream to its end.
    pub(crate) async fn read(
        mut content: ByteStream,
        max_bytes: u64,
        subject: &str,
    ) -> Result<Self, BlobError> {
        let mut file = SpooledTempFile::new(PART_BYTES);
        let mut hash = Sha256::new();
        let mut size = 0u64;
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(BlobError::Source)?;
            size += chunk.len() as u64;
            if size > max_bytes {
                return Err(BlobError::TooLarge { limit: max_bytes });
            }
            (file, hash) = blocking(move || {
                file.write_all(&chunk)?;
                hash.update(&chunk);
                Ok((file, hash))
            })
            .await
            .map_err(BlobError::store("spooling for", subject))?;
        }
        let id = BlobId::from_digest(hash);
        let file = blocking(move || {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        Ok(Self {
            file: file.await.map_err(BlobError::store("spooling for", subject))?,
            blob: StoredBlob { id, size },
        })
    }

    /// The next bytes, at most one part; `None` at the end.
    pub(crate) async fn part(mut self) -> io::Result<(Self, Option<Bytes>)> {
        blocking(move || {
            let mut part = Vec::new();
            (&mut self.file).take(PART_BYTES as u64).read_to_end(&mut part)?;
            let part = (!part.is_empty()).then(|| Bytes::from(part));
            Ok((self, part))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        // The runtime is shutting down, or the work panicked.
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
