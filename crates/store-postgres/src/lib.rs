//! The store in Postgres (14 or newer): the system of record of a cluster.
//!
//! * [`migrate()`] — brings a database to the schema of this program; [`schema_version`] says where it stands.
//! * [`PostgresStore::connect`] — refuses any other schema, then starts one writer task each for starts, claims,
//!   commits and commands: what queued while the last transaction was written shares the next one. Nothing is ever timed.
//! * `writer` — those tasks; their statements are versioned functions of the schema (`migrations/postgres/functions`).
//! * `ports` — the store's traits.
//!
//! Nothing is left in a session of the server but prepared statements, so a pooler in transaction mode may stand between
//! (see [`PostgresOptions::url`] for one that does not keep track of those). Row-level security is a second net under the
//! scopes: tenant reads set their plane inside the statement, see `rows::tenant`. Lease arithmetic uses the time of the database.

mod arrays;
mod connect;
mod connections;
mod error;
mod migrate;
mod ports;
mod reader;
mod rows;
mod stamp;
mod store;
mod writer;

pub use connect::{OpenError, PostgresOptions, Role};
pub use migrate::{Migrated, Plan, SCHEMA_VERSION, migrate, migrate_to, plan, schema_version};
pub use store::PostgresStore;
