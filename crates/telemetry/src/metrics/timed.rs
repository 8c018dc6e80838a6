//! Timing of store operations at the places that matter for load.

use std::time::Instant;

use super::{STORE_DURATION, STORE_ERRORS};

/// Carries out a store operation and records its time, and whether it failed, under a name of code.
///
/// # Errors
/// Those of the operation.
pub async fn store_operation<T, E>(
    operation: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let since = Instant::now();
    let done = call.await;
    STORE_DURATION
        .with([operation])
        .record(since.elapsed().as_secs_f64());
    if done.is_err() {
        STORE_ERRORS.with([operation]).increment(1);
    }
    done
}
