//! The store in one SQLite file: the embedded system of record.
//!
//! * [`SqliteStore::open`] — one process owns the data directory (a lock file says so), migrates the schema, and
//!   makes every head that was not at rest ready again.
//! * `writer` — one thread owns the only writing connection; what queued while the last transaction was written is
//!   the next transaction. Nothing is ever timed.
//! * `ports` — the store's traits: writes are enqueued, reads run on the caller's thread.
//! * `checkpoint` — moves the write-ahead log into the database file beside the writer.
//!
//! Leases live in memory ([`ag_store::leases`]): after a restart nobody owns anything.

mod checkpoint;
mod db;
mod error;
mod migrate;
mod open;
#[cfg(test)]
mod plans;
mod ports;
mod readers;
mod rows;
mod store;
mod writer;

pub use migrate::{SCHEMA_VERSION, schema_version};
pub use open::{OpenError, SqliteOptions, Synchronous};
pub use store::SqliteStore;
