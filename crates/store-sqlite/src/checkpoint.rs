//! Checkpoints: moving the write-ahead log into the database file.
//!
//! A passive checkpoint runs beside the writer each time some MiB have been written; it copies what no reader needs
//! and never waits. Under steady load it never catches up entirely, so the log would not be reused: when the log has
//! reached its limit the writer itself waits for a running checkpoint and empties the log before it goes on. On a
//! connection of its own a forced checkpoint would compete for the write lock, and lose against a busy writer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

use parking_lot::Mutex;

use crate::db::Db;

/// Page size of the database.
const PAGE_BYTES: u64 = 4096;

/// What writer and checkpoints tell each other.
#[derive(Debug)]
pub(crate) struct Log {
    /// Growth between two passive checkpoints.
    step: u64,
    /// Length at which the writer empties the log.
    limit: u64,
    /// Estimated length; exact after each checkpoint.
    bytes: AtomicU64,
    /// Absent after the end.
    ring: Mutex<Option<SyncSender<()>>>,
    /// Held by whoever checkpoints.
    running: Mutex<()>,
}

impl Log {
    /// The log, and what [`Self::run`] listens to.
    pub(crate) fn new(step: u64, limit: u64) -> (Self, Receiver<()>) {
        let (ring, rung) = sync_channel(1);
        let log = Self {
            step,
            limit,
            bytes: AtomicU64::new(0),
            ring: Mutex::new(Some(ring)),
            running: Mutex::new(()),
        };
        (log, rung)
    }

    /// Growth between two passive checkpoints.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// Notes what the writer has written.
    pub(crate) fn grow(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Asks for a passive checkpoint.
    pub(crate) fn ring(&self) {
        if let Some(ring) = &*self.ring.lock() {
            // Full: one is asked for already.
            let _ = ring.try_send(());
        }
    }

    /// Ends the passive checkpoints.
    pub(crate) fn stop(&self) {
        self.ring.lock().take();
    }

    /// Empties the log if it has reached its limit; called by the writer, between transactions, on its connection.
    pub(crate) fn limit(&self, db: &Db) {
        if self.bytes.load(Ordering::Relaxed) < self.limit {
            return;
        }
        let _running = self.running.lock();
        // The checkpoint waited for may have been enough.
        if self.bytes.load(Ordering::Relaxed) >= self.limit {
            self.checkpoint(db, "PRAGMA wal_checkpoint(RESTART)");
        }
    }

    /// Runs passive checkpoints until [`Self::stop`].
    pub(crate) fn run(self: Arc<Self>, db: &Db, rung: &Receiver<()>) {
        while rung.recv().is_ok() {
            let _running = self.running.lock();
            self.checkpoint(db, "PRAGMA wal_checkpoint(PASSIVE)");
        }
    }

    fn checkpoint(&self, db: &Db, statement: &'static str) {
        let before = self.bytes.load(Ordering::Relaxed);
        let done = db.first(statement, &[], |row| Ok((row.flag()?, row.int()?, row.int()?)));
        match done {
            Ok(found) => {
                let (busy, pages, done) = found.unwrap_or_default();
                tracing::debug!(statement, busy, pages, done, "checkpoint");
                // A log that has been copied entirely is begun anew by the next transaction; not so when the writer
                // has appended to it meanwhile.
                let quiet = self.bytes.load(Ordering::Relaxed) == before;
                let left = if quiet && !busy && done >= pages {
                    0
                } else {
                    u64::try_from(pages).unwrap_or(0) * PAGE_BYTES
                };
                self.bytes.fetch_add(left, Ordering::Relaxed);
                self.bytes.fetch_sub(before, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, statement, "checkpoint failed"),
        }
    }
}
