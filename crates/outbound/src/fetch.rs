//! One download with every limit: address, size, time, redirects (the client's own).

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use crate::body::{BodyError, read_body};
use crate::client::OutboundClient;
use crate::policy::OutboundError;

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// As the server says, without parameters, lower case; may be empty.
    pub content_type: String,
    /// The bytes.
    pub data: Bytes,
}

/// Why there is nothing. No text holds the address: it may be presigned.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an address.
    #[error("it is not an address")]
    NotAnAddress,
    /// The address must not be reached.
    #[error(transparent)]
    Refused(#[from] OutboundError),
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable,
    /// Another status than a success.
    #[error("the server answered {0}")]
    Status(u16),
    /// Larger than wanted.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Not finished in time.
    #[error("it took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Fetches `url` with `GET`, without credentials, at most `limit` bytes within `timeout`.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    client: &OutboundClient,
    url: &str,
    limit: usize,
    timeout: Duration,
) -> Result<Fetched, FetchError> {
    let url = Url::parse(url).map_err(|_| FetchError::NotAnAddress)?;
    let request = client.request(Method::GET, url)?;
    let work = async {
        let response = request.send().await.map_err(|_| FetchError::Unreachable)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let told = response.headers().get(CONTENT_TYPE);
        let told = told.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let bare = told.split(';').next().unwrap_or_default().trim();
        let content_type = bare.to_ascii_lowercase();
        let data = read_body(response, limit).await.map_err(|error| match error {
            BodyError::TooLarge { limit } => FetchError::TooLarge { limit },
            BodyError::Read(_) => FetchError::Unreachable,
        })?;
        Ok(Fetched { content_type, data })
    };
    let done = tokio::time::timeout(timeout, work).await;
    done.unwrap_or(Err(FetchError::TimedOut(timeout)))
}
