//! A store in memory, for tests of everything above the ports.
//!
//! One mutex around plain maps; every method is one critical section, so it is atomic and never waits. It keeps the
//! same promises as the databases (the conformance suite runs against it) and forgets all at the end of the process.

mod clock;
mod commands;
mod commit;
mod memory;
mod reads;
mod registry;
mod runs;
mod start;
mod world;

pub use clock::MovableClock;

use std::sync::Arc;

use ag_types::Clock;
use parking_lot::Mutex;

use world::World;

/// See the module.
pub struct FakeStore {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
}

impl FakeStore {
    /// An empty store with the root plane.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            world: Mutex::new(World::new()),
            clock,
        }
    }
}
