//! Schema versions: each migration runs once, with its functions; the table remembers its checksum.

use ag_store::StoreError;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};

use crate::{
    connect::{OpenError, connect_options},
    error::{read_error, write_error},
};

struct Migration {
    name: &'static str,
    parts: &'static [&'static str],
}

macro_rules! sql {
    ($file:literal) => {
        include_str!(concat!("../../../migrations/postgres/", $file))
    };
}

/// In order; the position is the version. Functions belong to the migration that introduces them.
const MIGRATIONS: [Migration; 1] = [Migration {
    name: "0001_initial",
    parts: &[
        sql!("0001_initial.sql"),
        sql!("functions/send_mail_v1.sql"),
        sql!("functions/write_more_v1.sql"),
        sql!("functions/start_runs_v1.sql"),
        sql!("functions/claim_runs_v1.sql"),
        sql!("functions/commit_runs_v1.sql"),
        sql!("functions/post_commands_v1.sql"),
    ],
}];

/// Version of the schema that this program works with.
pub const SCHEMA_VERSION: i32 = MIGRATIONS.len() as i32;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL, \
     checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";

/// Brings a database to the schema of this program, in one transaction; nothing happens where it is there already.
/// Several may run at the same time: one does the work.
///
/// # Errors
/// When a migration fails, was changed after it ran, or the database is newer than this program.
pub async fn migrate(url: &SecretString) -> Result<i32, OpenError> {
    let mut conn = connect_options(url)?.connect().await.map_err(read_error)?;
    create_history(&mut conn).await?;
    let mut tx = conn.begin().await.map_err(read_error)?;
    // Waits for another migration of any length.
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         LOCK TABLE schema_migrations IN SHARE ROW EXCLUSIVE MODE",
    )
    .execute(&mut *tx)
    .await
    .map_err(write_error)?;
    let applied = check_history(&mut tx).await?;
    for (migration, version) in MIGRATIONS.iter().zip(1..) {
        if version <= applied {
            continue;
        }
        for part in migration.parts {
            sqlx::raw_sql(*part)
                .execute(&mut *tx)
                .await
                .map_err(write_error)?;
        }
        sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(migration.name)
            .bind(checksum(migration))
            .execute(&mut *tx)
            .await
            .map_err(write_error)?;
        tracing::info!(version, name = migration.name, "schema migrated");
    }
    tx.commit().await.map_err(write_error)?;
    // The schema is there: nothing depends on a polite goodbye.
    let _ = conn.close().await;
    Ok(SCHEMA_VERSION)
}

/// Version of the schema in a database; 0 where there is none.
///
/// # Errors
/// When the database cannot be reached, or a migration was changed after it ran.
pub async fn schema_version(url: &SecretString) -> Result<i32, OpenError> {
    let mut conn = connect_options(url)?.connect().await.map_err(read_error)?;
    let version = stored_version(&mut conn).await?;
    let _ = conn.close().await;
    Ok(version)
}

pub(crate) async fn stored_version(conn: &mut PgConnection) -> Result<i32, OpenError> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('schema_migrations') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await
        .map_err(read_error)?;
    if exists { read_history(conn).await } else { Ok(0) }
}

/// Two that create it at the same time collide in the catalogue, on the table, its row type or an index of the
/// catalogue itself; a later attempt finds it.
async fn create_history(conn: &mut PgConnection) -> Result<(), StoreError> {
    for _ in 0..10 {
        match sqlx::raw_sql(HISTORY).execute(&mut *conn).await {
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

async fn check_history(conn: &mut PgConnection) -> Result<i32, OpenError> {
    match read_history(conn).await? {
        found if found > SCHEMA_VERSION => Err(OpenError::Newer {
            found,
            needed: SCHEMA_VERSION,
        }),
        found => Ok(found),
    }
}

async fn read_history(conn: &mut PgConnection) -> Result<i32, OpenError> {
    let rows = sqlx::query("SELECT version, checksum FROM schema_migrations ORDER BY version")
        .fetch_all(conn)
        .await
        .map_err(read_error)?;
    let mut newest = 0;
    for row in rows {
        let version: i32 = row.try_get(0).map_err(read_error)?;
        let stored: String = row.try_get(1).map_err(read_error)?;
        let known = usize::try_from(version - 1)
            .ok()
            .and_then(|index| MIGRATIONS.get(index));
        if known.is_some_and(|migration| checksum(migration) != stored) {
            return Err(OpenError::Changed { version });
        }
        newest = newest.max(version);
    }
    Ok(newest)
}

fn checksum(migration: &Migration) -> String {
    let mut hash = Sha256::new();
    for part in migration.parts {
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}
