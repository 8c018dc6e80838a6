//! The families. Adding one: its module, its line in [`FAMILIES`].

mod core;
mod runs;

use crate::Family;

/// Every operation of this server.
pub const FAMILIES: &[Family] = &[core::CORE, runs::RUNS, runs::LEDGERS, runs::COMMANDS];
