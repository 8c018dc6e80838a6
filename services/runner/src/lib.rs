//! The worker role: claims runs of a pool, drives them, keeps its session alive, and leaves in good order.
//!
//! ```text
//! loop: free slots -> hints of the bell (or candidates of the store) -> claim -> one task per run -> commit
//! beat: cancels, timers, expired sessions, lease renewal; a session that cannot renew stops its tasks before it ends
//! ```

mod beat;
mod board;
mod cause;
mod claims;
mod instances;
mod local;
mod runner;
mod strays;
mod timers;

pub use local::LocalSlots;
pub use runner::{Company, Runner, RunnerOptions};
