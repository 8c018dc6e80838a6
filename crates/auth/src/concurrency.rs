//! How many requests and streams a node serves at a time.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a request waits for a place before it is refused: enough to smooth a burst.
const PATIENCE: Duration = Duration::from_millis(10);

/// The pool that a request takes its place from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Ordinary requests.
    Requests,
    /// Ledger streams.
    Streams,
}

impl Pool {
    /// The pool for a path.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path.trim_end_matches('/').ends_with("/ledger/stream") {
            Self::Streams
        } else {
            Self::Requests
        }
    }
}

/// A place in a pool; dropping it gives it back. A stream keeps its own until the body ends.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The pools of a node.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimits {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    max_requests: usize,
    max_streams: usize,
}

impl ConcurrencyLimits {
    /// Pools of the given sizes, at least 1 each.
    #[must_use]
    pub fn new(max_requests: usize, max_streams: usize) -> Self {
        let size = |n: usize| n.clamp(1, Semaphore::MAX_PERMITS);
        let (max_requests, max_streams) = (size(max_requests), size(max_streams));
        Self {
            requests: Arc::new(Semaphore::new(max_requests)),
            streams: Arc::new(Semaphore::new(max_streams)),
            max_requests,
            max_streams,
        }
    }

    /// A place in the pool, or `None` if there is none within about 10 ms.
    pub async fn acquire(&self, pool: Pool) -> Option<Permit> {
        let semaphore = self.semaphore(pool);
        if let Ok(permit) = Arc::clone(semaphore).try_acquire_owned() {
            return Some(Permit(permit));
        }
        let waiting = Arc::clone(semaphore).acquire_owned();
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .ok()?
            .ok()
            .map(Permit)
    }

    /// Places in use, for metrics.
    #[must_use]
    pub fn in_use(&self, pool: Pool) -> usize {
        let size = match pool {
            Pool::Requests => self.max_requests,
            Pool::Streams => self.max_streams,
        };
        size - self.semaphore(pool).available_permits().min(size)
    }

    fn semaphore(&self, pool: Pool) -> &Arc<Semaphore> {
        match pool {
            Pool::Requests => &self.requests,
            Pool::Streams => &self.streams,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_by_path() {
        for (path, pool) in [
            ("/api/gateway/runs/r/ledger/stream", Pool::Streams),
            ("/api/gateway/runs/r/ledger/stream/", Pool::Streams),
            ("/api/gateway/runs/r/ledger", Pool::Requests),
            ("/api/gateway/runs/r/ledger/streams", Pool::Requests),
        ] {
            assert_eq!(Pool::of_path(path), pool, "{path}");
        }
    }

    #[tokio::test]
    async fn pools_are_apart_and_give_back() {
        let limits = ConcurrencyLimits::new(1, 0);
        let request = limits.acquire(Pool::Requests).await;
        assert!(request.is_some());
        assert!(limits.acquire(Pool::Requests).await.is_none());
        let stream = limits.acquire(Pool::Streams).await;
        assert!(stream.is_some());
        assert_eq!(
            (limits.in_use(Pool::Requests), limits.in_use(Pool::Streams)),
            (1, 1)
        );
        drop(request);
        assert_eq!(limits.in_use(Pool::Requests), 0);
        assert!(limits.acquire(Pool::Requests).await.is_some());
    }

    #[tokio::test]
    async fn a_short_burst_waits() {
        let limits = ConcurrencyLimits::new(1, 1);
        let first = limits.acquire(Pool::Requests).await;
        let (second, ()) = tokio::join!(limits.acquire(Pool::Requests), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(second.is_some());
    }
}
