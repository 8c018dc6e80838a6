//! A store in memory, for tests of everything above the ports.
//!
//! One mutex around plain maps; every method is one critical section, so it is atomic and never waits. It keeps the
//! same promises as the databases (the conformance suite runs against it) and forgets all at the end of the process.

mod clock;
mod commands;
mod commit;
mod imports;
mod memory;
mod reads;
mod registry;
mod runs;
mod start;
mod world;

pub use clock::MovableClock;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ag_types::Clock;
use parking_lot::{Mutex, MutexGuard};

use crate::error::StoreError;
use world::World;

/// See the module.
pub struct FakeStore {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    /// Calls until the store is away; negative: never.
    calls_left: AtomicI64,
}

impl FakeStore {
    /// An empty store with the root plane.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            world: Mutex::new(World::new()),
            clock,
            calls_left: AtomicI64::new(-1),
        }
    }

    /// As if the database went away: after `calls` more calls every call fails, until [`Self::heal`].
    pub fn break_after(&self, calls: u32) {
        self.calls_left.store(i64::from(calls), Ordering::SeqCst);
    }

    /// The database is back.
    pub fn heal(&self) {
        self.calls_left.store(-1, Ordering::SeqCst);
    }

    fn world(&self) -> Result<MutexGuard<'_, World>, StoreError> {
        let next = |left: i64| (left != 0).then(|| if left > 0 { left - 1 } else { left });
        match self
            .calls_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            Ok(_) => Ok(self.world.lock()),
            Err(_) => Err(StoreError::Unavailable("the fake store is away".to_owned())),
        }
    }
}
