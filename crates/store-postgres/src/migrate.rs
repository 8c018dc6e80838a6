//! Schema versions: each migration runs once, with its functions, in a transaction of its own; the table remembers its
//! checksum.
//!
//! Safe while the previous version of the program works: a migration waits for locks for less time than a statement
//! of the program does, gives way and tries again, and holds one lock at a time where tables of many rows are
//! changed. Several migrations may run at the same time: a lease in a row lets one work. Nothing is left in a session
//! of the server, so a pooler may stand between.

mod history;
mod lease;
mod list;
mod security;
mod steps;

use secrecy::SecretString;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

pub use list::SCHEMA_VERSION;
pub(crate) use steps::ask;

use crate::{
    connect::{OpenError, connect_options},
    error::read_error,
};
use lease::Lease;
use list::Migration;
use steps::Step;

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Version that the database has now.
    pub version: i32,
    /// Migrations that ran, by name.
    pub applied: Vec<&'static str>,
    /// Tables that came under row-level security.
    pub protected: Vec<String>,
    /// What the migrating user may not do and an administrator should, with the statements.
    pub notes: Vec<String>,
}

/// What a migration would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Version of the database; 0 where there is no schema.
    pub found: i32,
    /// Version of this program.
    pub needed: i32,
    /// Migrations that would run, by name.
    pub pending: Vec<&'static str>,
    /// Tables that would come under row-level security, of those that exist.
    pub unprotected: Vec<String>,
    /// As in [`Migrated::notes`], as far as it can be said now.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty() && self.unprotected.is_empty()
    }
}

/// Brings a database to the schema of this program; nothing happens where it is there already.
///
/// # Errors
/// When a migration fails, was changed after it ran, or the database is newer than this program.
pub async fn migrate(url: &SecretString) -> Result<Migrated, OpenError> {
    migrate_to(url, SCHEMA_VERSION).await
}

/// Migrates only up to a version: to prepare a database of an older program.
///
/// # Errors
/// As [`migrate()`].
pub async fn migrate_to(url: &SecretString, version: i32) -> Result<Migrated, OpenError> {
    let mut conn = connect(url).await?;
    history::create(&mut conn).await?;
    // Refuses before it waits for anybody.
    history::read(&mut conn).await?.refuse_newer()?;
    let lease = Lease::acquire(&mut conn).await?;
    let done = work(&mut conn, &lease, version).await;
    // Given back even after a failure; else the next one waits for its end.
    let given_back = lease.release(&mut conn).await;
    let done = done?;
    given_back?;
    // The schema is there: nothing depends on a polite goodbye.
    let _ = conn.close().await;
    Ok(done)
}

async fn work(conn: &mut PgConnection, lease: &Lease, version: i32) -> Result<Migrated, OpenError> {
    let history = history::read(conn).await?;
    history.refuse_newer()?;
    let mut applied = Vec::new();
    for migration in history.missing().filter(|migration| migration.version <= version) {
        steps::take(conn, lease, Step::Apply(migration)).await?;
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "schema migrated"
        );
        applied.push(migration.name);
    }
    let protected = security::establish(conn, lease).await?;
    Ok(Migrated {
        version: history::read(conn).await?.newest(),
        applied,
        protected,
        notes: security::notes(conn).await?,
    })
}

/// What [`migrate()`] would do; changes nothing.
///
/// # Errors
/// As [`migrate()`].
pub async fn plan(url: &SecretString) -> Result<Plan, OpenError> {
    let mut conn = connect(url).await?;
    let history = history::read(&mut conn).await?;
    history.refuse_newer()?;
    let plan = Plan {
        found: history.newest(),
        needed: SCHEMA_VERSION,
        pending: history.missing().map(|migration| migration.name).collect(),
        unprotected: security::unprotected(&mut conn).await?,
        notes: security::notes(&mut conn).await?,
    };
    let _ = conn.close().await;
    Ok(plan)
}

/// Version of the schema in a database; 0 where there is none.
///
/// # Errors
/// When the database cannot be reached, or a migration was changed after it ran.
pub async fn schema_version(url: &SecretString) -> Result<i32, OpenError> {
    let mut conn = connect(url).await?;
    let version = history::read(&mut conn).await?.newest();
    let _ = conn.close().await;
    Ok(version)
}

/// Refuses a database whose schema is not this program's.
pub(crate) async fn check_schema(conn: &mut PgConnection) -> Result<(), OpenError> {
    let history = history::read(conn).await?;
    history.refuse_newer()?;
    match (history.newest(), history.missing().next()) {
        (_, None) => Ok(()),
        (0, _) => Err(OpenError::Empty),
        (found, Some(_)) => Err(OpenError::Older {
            found,
            needed: SCHEMA_VERSION,
        }),
    }
}

async fn connect(url: &SecretString) -> Result<PgConnection, OpenError> {
    Ok(connect_options(url)?.connect().await.map_err(read_error)?)
}

#[cfg(test)]
mod tests {
    use super::list::MIGRATIONS;

    #[test]
    fn names_begin_with_rising_versions() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        for migration in &MIGRATIONS {
            assert!(
                migration.name.starts_with(&format!("{:04}_", migration.version)),
                "{}",
                migration.name
            );
        }
    }
}
