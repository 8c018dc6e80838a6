//! Which migrations a database has.

use std::collections::BTreeSet;

use ag_store::StoreError;
use sqlx::{PgConnection, Row as _};

use super::{
    Migration,
    list::{MIGRATIONS, SCHEMA_VERSION},
    steps,
};
use crate::{
    connect::OpenError,
    error::{read_error, write_error},
};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL, \
     checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
     CREATE TABLE IF NOT EXISTS schema_lease (id int PRIMARY KEY CHECK (id = 1), holder uuid, \
     expires_at timestamptz NOT NULL); \
     INSERT INTO schema_lease (id, expires_at) VALUES (1, clock_timestamp()) ON CONFLICT DO NOTHING";

/// Versions found.
pub(super) struct History(BTreeSet<i32>);

impl History {
    /// 0 where there is none.
    pub(super) fn newest(&self) -> i32 {
        self.0.last().copied().unwrap_or(0)
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = &'static Migration> {
        MIGRATIONS
            .iter()
            .filter(|migration| !self.0.contains(&migration.version))
    }

    pub(super) fn refuse_newer(&self) -> Result<(), OpenError> {
        let found = self.newest();
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer {
                found,
                needed: SCHEMA_VERSION,
            });
        }
        Ok(())
    }
}

/// Makes the tables of the history. Two that make them at the same time collide in the catalogue, on the table, its
/// row type or an index of the catalogue itself; a later attempt finds them.
pub(super) async fn create(conn: &mut PgConnection) -> Result<(), StoreError> {
    for _ in 0..10 {
        match sqlx::raw_sql(TABLES).execute(&mut *conn).await {
            Ok(_) => return Ok(()),
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("23505" | "42P07" | "42710")) => {}
            Err(error) => return Err(write_error(error)),
        }
    }
    Err(StoreError::Unavailable(
        "the schema is being created by another process".to_owned(),
    ))
}

/// # Errors
/// Also when the text of a migration that ran is not this program's.
pub(super) async fn read(conn: &mut PgConnection) -> Result<History, OpenError> {
    let exists = steps::ask(conn, "SELECT to_regclass('schema_migrations') IS NOT NULL").await?;
    let mut found = BTreeSet::new();
    if !exists {
        return Ok(History(found));
    }
    let rows = steps::query(
        conn,
        "SELECT version, checksum FROM schema_migrations ORDER BY version",
    )
    .await?;
    for row in rows {
        let version: i32 = row.try_get(0).map_err(read_error)?;
        let stored: String = row.try_get(1).map_err(read_error)?;
        let known = MIGRATIONS.iter().find(|migration| migration.version == version);
        if known.is_some_and(|migration| migration.checksum() != stored) {
            return Err(OpenError::Changed { version });
        }
        found.insert(version);
    }
    Ok(History(found))
}
