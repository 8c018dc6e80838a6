//! Checkpoints: moving the write-ahead log into the database file.
//!
//! A passive checkpoint runs beside the writer each time some MiB have been written; it copies what no reader needs
//! and never waits. Under steady load it never catches up entirely, so the log would not be reused: when the log has
//! reached its limit the writer itself waits for a running checkpoint and empties the log before it goes on. On a
//! connection of its own a forced checkpoint would compete for the write lock, and lose against a busy writer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sqlx::SqliteConnection;
use tokio::sync::{Mutex, Notify};

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
    ring: Notify,
    stop: Notify,
    /// Held by whoever checkpoints.
    running: Mutex<()>,
}

impl Log {
    pub(crate) fn new(step: u64, limit: u64) -> Self {
        let (ring, stop) = (Notify::new(), Notify::new());
        Self {
            step,
            limit,
            bytes: AtomicU64::new(0),
            ring,
            stop,
            running: Mutex::new(()),
        }
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
        self.ring.notify_one();
    }

    /// Ends the passive checkpoints.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Empties the log if it has reached its limit; called by the writer, between transactions, on its connection.
    pub(crate) async fn limit(&self, conn: &mut SqliteConnection) {
        if self.bytes.load(Ordering::Relaxed) < self.limit {
            return;
        }
        let _running = self.running.lock().await;
        // The checkpoint waited for may have been enough.
        if self.bytes.load(Ordering::Relaxed) >= self.limit {
            self.checkpoint(conn, "PRAGMA wal_checkpoint(RESTART)").await;
        }
    }

    /// Runs passive checkpoints until [`Self::stop`].
    pub(crate) async fn run(self: Arc<Self>, mut conn: SqliteConnection) {
        loop {
            tokio::select! {
                () = self.ring.notified() => {}
                () = self.stop.notified() => break,
            }
            let _running = self.running.lock().await;
            self.checkpoint(&mut conn, "PRAGMA wal_checkpoint(PASSIVE)").await;
        }
        let _ = sqlx::Connection::close(conn).await;
    }

    async fn checkpoint(&self, conn: &mut SqliteConnection, statement: &'static str) {
        let before = self.bytes.load(Ordering::Relaxed);
        match sqlx::query_as::<_, (i64, i64, i64)>(statement)
            .fetch_one(conn)
            .await
        {
            Ok((busy, pages, done)) => {
                tracing::debug!(statement, busy, pages, done, "checkpoint");
                // A log that has been copied entirely is begun anew by the next transaction; not so when the writer
                // has appended to it meanwhile.
                let quiet = self.bytes.load(Ordering::Relaxed) == before;
                let left = if quiet && busy == 0 && done >= pages {
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
