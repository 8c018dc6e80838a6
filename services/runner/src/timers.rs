//! The earliest due timer, so that nobody polls for timers.

use std::time::Duration;

use ag_types::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Remembers when the next timer sweep is due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    next: Mutex<Option<Timestamp>>,
    changed: Notify,
}

impl Timers {
    /// A timer at `due` exists.
    pub(crate) fn add(&self, due: Timestamp) {
        let mut next = self.next.lock();
        if next.is_none_or(|known| due < known) {
            *next = Some(due);
            self.changed.notify_one();
        }
    }

    /// Forgets the known time; the sweep that follows learns the next one.
    pub(crate) fn clear(&self) {
        *self.next.lock() = None;
    }

    /// Returns when the earliest timer is due, with its time.
    pub(crate) async fn due(&self, now: impl Fn() -> Timestamp) -> Timestamp {
        loop {
            let next = *self.next.lock();
            match next {
                None => self.changed.notified().await,
                Some(due) => {
                    let left = due.micros_since(now());
                    if left <= 0 {
                        return due;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_micros(left.unsigned_abs())) => {}
                        () = self.changed.notified() => {}
                    }
                }
            }
        }
    }
}
