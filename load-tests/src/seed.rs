//! Copies of a run, made in the tables: with the gateway's own speed a million of them would take an hour.
//!
//! Ids rise in the order of the copies, as those of real runs do, so that indexes grow at the same edge.

mod postgres;
mod sqlite;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use postgres::postgres;
pub(crate) use sqlite::sqlite;

/// Tables in which a run has rows that name it in `run_id`.
const TABLES: [&str; 3] = ["runs", "run_heads", "ledger"];

/// Columns whose text may contain the run's id.
const TEXTS: [&str; 7] = [
    "meta",
    "output",
    "records",
    "session_id",
    "vars",
    "wait",
    "wait_key",
];

/// What the ids of one call begin with: a version 7 UUID of the present, up to its last 48 bits.
fn prefix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = now.as_millis() & 0xffff_ffff_ffff;
    format!("{:08x}-{:04x}-7000-8000-", ms >> 16, ms & 0xffff)
}
