//! Which runs have streams on this node, and where the store says they end.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ag_store::StoreError;
use ag_types::{RunKey, SystemScope};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Streams;

/// Time between looks at the feed's health, and between sweeps while it is known to lose announcements.
const UNHEALTHY_PERIOD: Duration = Duration::from_secs(1);
/// Looks between two sweeps of a healthy feed.
const HEALTHY_LOOKS: u32 = 15;

/// Where the store says a run ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) last_seq: i64,
    /// Ended, or gone.
    pub(super) ended: bool,
}

struct Entry {
    streams: usize,
    seen: watch::Sender<Seen>,
    busy: Arc<AtomicBool>,
}

#[derive(Clone, Default)]
pub(super) struct Quiet(Arc<Mutex<HashMap<RunKey, Entry>>>);

/// One stream's registration; dropping it ends it.
pub(super) struct Watching {
    quiet: Quiet,
    key: RunKey,
    pub(super) seen: watch::Receiver<Seen>,
    busy: Arc<AtomicBool>,
}

impl Watching {
    /// Says that the run is heard of by itself, so that the next sweep may leave it out.
    pub(super) fn mark_busy(&self) {
        self.busy.store(true, Ordering::Relaxed);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut runs = self.quiet.0.lock();
        if let Some(entry) = runs.get_mut(&self.key) {
            entry.streams -= 1;
            if entry.streams == 0 {
                runs.remove(&self.key);
            }
        }
    }
}

impl Quiet {
    pub(super) fn watch(&self, key: RunKey) -> Watching {
        let mut runs = self.0.lock();
        let entry = runs.entry(key).or_insert_with(|| Entry {
            streams: 0,
            seen: watch::Sender::new(Seen::default()),
            busy: Arc::default(),
        });
        entry.streams += 1;
        let (seen, busy) = (entry.seen.subscribe(), entry.busy.clone());
        Watching {
            quiet: self.clone(),
            key,
            seen,
            busy,
        }
    }

    /// Runs to ask about: those not heard of since the last time, or all.
    fn due(&self, all: bool) -> Vec<RunKey> {
        let runs = self.0.lock();
        let quiet = runs
            .iter()
            .filter(|(_, entry)| !entry.busy.swap(false, Ordering::Relaxed) || all);
        quiet.map(|(key, _)| *key).collect()
    }

    /// Runs that are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether nothing is watched.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    fn tell(&self, key: &RunKey, seen: Seen) {
        if let Some(entry) = self.0.lock().get(key) {
            entry
                .seen
                .send_if_modified(|known| std::mem::replace(known, seen) != seen);
        }
    }
}

impl Streams {
    /// Sweeps until the node drains.
    pub(crate) async fn sweep_quiet(self: Arc<Self>) {
        let mut looks = 0;
        loop {
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = tokio::time::sleep(UNHEALTHY_PERIOD) => {}
            }
            let healthy = self.feed.healthy();
            looks += 1;
            if healthy && looks < HEALTHY_LOOKS {
                continue;
            }
            looks = 0;
            if let Err(error) = self.sweep(!healthy).await {
                tracing::warn!(error = %error, "quiet streams could not be looked at");
            }
        }
    }

    /// Asks with one statement where quiet runs end and tells their streams.
    pub(super) async fn sweep(&self, all: bool) -> Result<(), StoreError> {
        let due = self.quiet.due(all);
        if due.is_empty() {
            return Ok(());
        }
        let tails = self
            .store
            .tails(&SystemScope::new("tails of a node's quiet streams"), &due)
            .await?;
        let mut gone: std::collections::HashSet<RunKey> = due.into_iter().collect();
        for tail in tails {
            gone.remove(&tail.key);
            self.quiet.tell(
                &tail.key,
                Seen {
                    last_seq: tail.last_seq,
                    ended: tail.status.is_terminal(),
                },
            );
        }
        // A purged run has no tail; its streams read, find nothing and end.
        for key in gone {
            self.quiet.tell(
                &key,
                Seen {
                    last_seq: i64::MAX,
                    ended: true,
                },
            );
        }
        Ok(())
    }
}
