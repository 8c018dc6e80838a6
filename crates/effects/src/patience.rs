//! Waiting for a store that is away, where the question cannot be given back to the engine: tools that have run must not
//! run again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::handler::Failure;

/// Pauses as between two tries of a commit: together shorter than a lease.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(3_200);

/// Asks again while the store is away, for about six seconds.
///
/// # Errors
/// That of the last try.
pub(crate) async fn patiently<T, F>(
    cancel: &CancellationToken,
    mut ask: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match ask().await.map_err(Failure::outage) {
            Ok(value) => return Ok(value),
            Err(Err(text)) => return Err(Failure::Text(text)),
            Err(Ok(away)) => away,
        };
        if pause > LAST_PAUSE || cancel.is_cancelled() {
            return Err(Failure::Store(error));
        }
        tracing::warn!(%error, "asking the store again");
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(pause) => pause *= 2,
        }
    }
}
