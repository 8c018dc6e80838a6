//! Bodies with a limit.

use bytes::{Bytes, BytesMut};

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More than the caller wanted to hold.
    #[error("response body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The connection ended early or failed.
    #[error("response body could not be read")]
    Read(#[source] reqwest::Error),
}

/// Reads a body of at most `limit` bytes. A longer one is refused as soon as that is known: by its announced length,
/// or at the first byte too many. Dropping the response then closes the connection.
///
/// # Errors
/// [`BodyError::TooLarge`] or [`BodyError::Read`].
pub async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, BodyError> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(announced.min(1 << 20));
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Read)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
