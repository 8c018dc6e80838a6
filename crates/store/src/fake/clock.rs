//! A clock that stands still until it is moved.

use std::sync::atomic::{AtomicI64, Ordering};

use ag_types::{Clock, Timestamp};

/// Time of a test.
#[derive(Debug)]
pub struct MovableClock(AtomicI64);

impl MovableClock {
    /// Begins at an instant.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Moves forward.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Default for MovableClock {
    /// Begins in November 2026.
    fn default() -> Self {
        Self::at(Timestamp::from_micros(1_795_174_322_000_000))
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
