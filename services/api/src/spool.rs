//! Bytes on their way from a client or a workspace into the blob store.
//!
//! What comes is not collected in memory: a few bytes stay there, more lie in a file without a name in the folder for
//! temporary files (`TMPDIR`). Such a file is gone with its last handle, so that neither a client that breaks off nor
//! a killed process leaves anything behind.

use std::{
    fs::File,
    io::{self, Cursor, Read as _, Seek as _, SeekFrom, Write as _},
    sync::Arc,
};

use ag_artifacts::{ArtifactIdHash, ByteStream, inspect_media_in};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// What stays in memory, and what goes to the file at a time.
const BLOCK: usize = 256 * 1024;
/// Bytes that are read back at a time.
const CHUNK: usize = 128 * 1024;

/// Takes bytes in.
#[derive(Debug, Default)]
pub(crate) struct Spooling {
    waiting: BytesMut,
    file: Option<File>,
    size: u64,
}

/// A whole content.
#[derive(Debug)]
pub(crate) struct Spool {
    content: Content,
    size: u64,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(File),
}

impl Spooling {
    /// The next bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) async fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(chunk);
        self.size += chunk.len() as u64;
        if self.waiting.len() >= BLOCK {
            self.write_out().await?;
        }
        Ok(())
    }

    async fn write_out(&mut self) -> io::Result<()> {
        let (file, block) = (self.file.take(), self.waiting.split().freeze());
        let file = blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => tempfile::tempfile()?,
            };
            file.write_all(&block)?;
            Ok(file)
        });
        self.file = Some(file.await?);
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub(crate) async fn finish(mut self) -> io::Result<Spool> {
        if self.file.is_some() && !self.waiting.is_empty() {
            self.write_out().await?;
        }
        let content = match self.file {
            Some(file) => Content::File(file),
            None => Content::Memory(self.waiting.freeze()),
        };
        Ok(Spool {
            content,
            size: self.size,
        })
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            content: Content::Memory(Bytes::new()),
            size: 0,
        }
    }
}

/// The id of an artifact, found while its bytes pass by.
#[derive(Debug, Clone)]
pub(crate) struct PassingId(Arc<Mutex<ArtifactIdHash>>);

impl PassingId {
    /// The id of what has passed.
    pub(crate) fn finish(self) -> String {
        self.0.lock().clone().finish()
    }
}

impl Spool {
    /// The first `size` bytes of a file that lies somewhere; it may grow meanwhile.
    pub(crate) fn of_file(file: File, size: u64) -> Self {
        Self {
            content: Content::File(file),
            size,
        }
    }

    /// What its headers say of an image or a sound.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn media(&self, content_type: &str) -> io::Result<Map<String, Value>> {
        let (content_type, size) = (content_type.to_owned(), self.size);
        match &self.content {
            Content::Memory(bytes) => inspect_media_in(&content_type, &mut Cursor::new(bytes), size),
            Content::File(file) => {
                let mut file = file.try_clone()?;
                blocking(move || inspect_media_in(&content_type, &mut file, size)).await
            }
        }
    }

    /// The bytes from the first one, and the id that they give an artifact of the run.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn stream(self, run_id: &str) -> io::Result<(ByteStream, PassingId)> {
        let hash = PassingId(Arc::new(Mutex::new(ArtifactIdHash::new(Some(run_id)))));
        let bytes: ByteStream = match self.content {
            Content::Memory(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Content::File(file) => {
                let file = tokio::fs::File::from_std(rewound(file).await?);
                ReaderStream::with_capacity(file.take(self.size), CHUNK).boxed()
            }
        };
        let passing = hash.clone();
        let bytes = bytes.inspect_ok(move |chunk| passing.0.lock().update(chunk));
        Ok((bytes.boxed(), hash))
    }

    /// All bytes at once, for what can only be read as a whole.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn bytes(self) -> io::Result<Bytes> {
        let size = self.size;
        match self.content {
            Content::Memory(bytes) => Ok(bytes),
            Content::File(file) => {
                blocking(move || {
                    let mut file = file;
                    file.seek(SeekFrom::Start(0))?;
                    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
                    file.take(size).read_to_end(&mut bytes)?;
                    Ok(bytes.into())
                })
                .await
            }
        }
    }
}

async fn rewound(mut file: File) -> io::Result<File> {
    blocking(move || {
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        // The runtime is shutting down, or the work panicked.
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use ag_artifacts::artifact_id;

    use super::*;

    #[tokio::test]
    async fn contents_of_every_size_come_back_whole() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let whole: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let spool = || async {
                let mut spooling = Spooling::default();
                for piece in whole.chunks(100_003) {
                    spooling.push(piece).await.expect("written");
                    assert!(spooling.waiting.len() < BLOCK, "memory is bounded");
                }
                let spool = spooling.finish().await.expect("finished");
                assert_eq!(matches!(spool.content, Content::File(_)), size >= BLOCK, "{size}");
                spool
            };
            assert_eq!(spool().await.size, size as u64);
            assert_eq!(spool().await.bytes().await.expect("read"), whole);
            let spooled = spool().await;
            let media = spooled.media("image/png").await.expect("read");
            assert_eq!(media["inspection_source"], "unsupported");
            let (bytes, id) = spooled.stream("r1").await.expect("read");
            let read: Vec<Bytes> = bytes.try_collect().await.expect("read");
            assert_eq!(read.concat(), whole);
            assert_eq!(id.finish(), artifact_id(Some("r1"), &whole));
        }
    }
}
