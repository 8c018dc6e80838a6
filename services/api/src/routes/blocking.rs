//! The threads for work that reads files, inflates, parses or compiles much.

use crate::{ApiError, ApiResult};

/// Runs `work` off the threads that serve requests.
///
/// # Errors
/// 500 when the work panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::internal("a blocking task failed", &error))
}
