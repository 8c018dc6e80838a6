//! The job that collects from time to time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ag_artifacts::{BlobError, BlobMaintenance, ScopeKey};
use ag_store::Store;
use ag_telemetry::metrics::{
    BLOB_BYTES_COLLECTED, BLOB_COLLECTION_FAILURES, BLOB_COLLECTION_LAST, BLOBS_COLLECTED, BLOBS_RETIRED,
};
use ag_types::{Clock, IdGen, Timestamp};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{Collected, Mode, Options, collect};

/// A blob of its own whose age says when the last collection began. A hint: two nodes may collect at the same time.
const STAMP: &[u8] = b"The age of this object says when the last collection of unreferenced blobs began.\n";
/// Time from the start of a process to its first look, so that a start is not slowed down.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// Longest time between two looks at the stamp.
const LONGEST_NAP: Duration = Duration::from_secs(3_600);

/// Collects again and again, once per interval among all nodes that share a store.
pub struct Collector {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The bytes.
    pub blobs: Arc<dyn BlobMaintenance>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Spreads the nodes.
    pub ids: Arc<dyn IdGen>,
    /// How long unreferenced blobs are spared.
    pub grace: Duration,
    /// Time between two collections.
    pub interval: Duration,
}

impl Collector {
    /// Works until `shutdown`, which also ends a collection in the middle.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            let mut nap = FIRST_LOOK;
            loop {
                tokio::time::sleep(self.spread(nap)).await;
                nap = (self.interval / 8).min(LONGEST_NAP);
                if let Err(error) = self.collect_if_due().await {
                    BLOB_COLLECTION_FAILURES.with([]).increment(1);
                    tracing::warn!(%error, "collection of blobs failed");
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    /// Collects unless a collection began less than an interval ago; `None` then.
    ///
    /// # Errors
    /// When the stamp or the planes cannot be read.
    pub async fn collect_if_due(
        &self,
    ) -> Result<Option<Collected>, Box<dyn std::error::Error + Send + Sync>> {
        if !self.take_turn().await? {
            return Ok(None);
        }
        let options = Options {
            grace: self.grace,
            mode: Mode::Sweep,
            now: self.clock.now(),
        };
        let done = collect(&*self.store, &*self.blobs, options).await?;
        show(&done, options.now);
        tracing::info!(
            planes = done.planes,
            blobs = done.blobs,
            retired = done.retired,
            restored = done.restored,
            discarded = done.discarded,
            discarded_bytes = done.discarded_bytes,
            failures = done.failures,
            "collected unreferenced blobs"
        );
        Ok(Some(done))
    }

    /// Whether a collection is due; if so, says to the others that it has begun.
    async fn take_turn(&self) -> Result<bool, BlobError> {
        // The empty tenant is no plane's.
        let key = ScopeKey::plane("", "collection");
        let last = self.blobs.list(&key, None, 1).await?;
        let micros = u64::try_from(self.clock.now().as_micros()).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        let due = last.first().is_none_or(|stamp| {
            // A stamp from the future is a clock that differs a little, or one that was set back.
            let distance = now.duration_since(stamp.modified);
            distance.unwrap_or_else(|ahead| ahead.duration()) >= self.interval
        });
        if due {
            self.blobs.put(&key, Bytes::from_static(STAMP)).await?;
        }
        Ok(due)
    }

    /// Between half and one and a half of `time`.
    fn spread(&self, time: Duration) -> Duration {
        let share = (self.ids.random() % 1_000) as f64 / 1_000.0;
        time.mul_f64(0.5 + share)
    }
}

/// What was done, as metrics.
fn show(done: &Collected, now: Timestamp) {
    let blobs = [
        ("retired", done.retired),
        ("restored", done.restored),
        ("removed", done.discarded),
        ("leftover", done.leftovers),
    ];
    for (step, count) in blobs {
        BLOBS_COLLECTED.with([step]).increment(count);
    }
    for (step, bytes) in [("retired", done.retired_bytes), ("removed", done.discarded_bytes)] {
        BLOB_BYTES_COLLECTED.with([step]).increment(bytes);
    }
    BLOBS_RETIRED.with([]).set(done.waiting as f64);
    BLOB_COLLECTION_FAILURES.with([]).increment(done.failures);
    if done.failures == 0 {
        BLOB_COLLECTION_LAST.with([]).set(now.as_micros() as f64 / 1e6);
    }
}
