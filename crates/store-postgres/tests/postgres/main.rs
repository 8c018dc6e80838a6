//! The store on a real server.

mod ambiguity;
mod build;
mod conformance;
mod differential;
mod faults;
mod migrations;
mod order;
mod plans;
mod pooler;
mod security;
mod sharing;

use ag_store_postgres::migrate;
use ag_testkit::ScratchPostgres;

/// A server and a migrated database of its own. `None` where Postgres is not installed.
async fn migrated() -> Option<(&'static ScratchPostgres, String)> {
    let server = ScratchPostgres::shared()?;
    let database = server.database().await;
    migrate(&server.url(&database).into()).await.expect("schema");
    Some((server, database))
}
