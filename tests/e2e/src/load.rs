//! Clients that start runs, send commands and read ledgers, remember what they were told, and a checker that compares
//! it with what the gateway holds afterwards.
//!
//! Which invariants of the fault matrix it decides is [`INVARIANTS`]. What is done to the gateway meanwhile is the
//! scenario's business.

pub(crate) mod check;
pub(crate) mod flows;
pub(crate) mod tend;
pub(crate) mod workload;

/// The invariants that the checker decides.
pub(crate) const INVARIANTS: [&str; 8] = ["I1", "I2", "I4", "I5", "I6", "I7", "I8", "I9"];
