//! Short transactions under the lease.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Postgres, Row as _, Transaction, postgres::PgRow};

use super::{Lease, Migration};
use crate::{
    connect::OpenError,
    error::{read_error, write_error},
};

/// A step may take any time, but waits for a lock less than the statements of a working program do (2 s): those that
/// queue behind it must not fail. It also waits less than `deadlock_timeout` (1 s): where it and a statement wait for
/// each other, it gives way before the server ends the statement. So a migration locks one table, two at most.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '400ms'";
/// Attempts to get the locks of a step, about three minutes in all.
const ATTEMPTS: u32 = 200;
/// Time for those that queued behind the last attempt.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn begin(conn: &mut PgConnection) -> Result<Transaction<'_, Postgres>, OpenError> {
    Ok(conn.begin_with(BEGIN).await.map_err(write_error)?)
}

/// What a transaction does.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// Runs a migration and notes it in the history.
    Apply(&'static Migration),
    /// Makes and grants the roles.
    Roles,
    /// Puts a table under row-level security.
    Protect(&'a str),
}

impl Step<'_> {
    async fn take(self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let query = match self {
            Self::Apply(migration) => {
                for part in migration.parts {
                    sqlx::raw_sql(*part).execute(&mut *conn).await?;
                }
                sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
                    .bind(migration.version)
                    .bind(migration.name)
                    .bind(migration.checksum())
            }
            Self::Roles => sqlx::query("SELECT grant_roles_v1()"),
            Self::Protect(table) => sqlx::query("SELECT protect_table_v1($1::text::regclass)").bind(table),
        };
        query.persistent(false).execute(conn).await?;
        Ok(())
    }
}

/// Takes a step in a transaction; again where it did not get its locks.
pub(super) async fn take(conn: &mut PgConnection, lease: &Lease, step: Step<'_>) -> Result<(), OpenError> {
    let mut attempt = 1;
    loop {
        let mut tx = begin(conn).await?;
        lease.hold(&mut tx).await?;
        match step.take(&mut tx).await {
            Ok(()) => {
                tx.commit().await.map_err(write_error)?;
                return Ok(());
            }
            Err(error) if attempt < ATTEMPTS && gave_way(&error) => {
                tx.rollback().await.map_err(write_error)?;
                if attempt == 1 {
                    tracing::info!("waiting for a lock that others hold");
                }
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(write_error(error).into()),
        }
    }
}

/// Lock timeout or deadlock.
fn gave_way(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}

/// Rows of a question without parameters.
pub(super) async fn query(conn: &mut PgConnection, statement: &'static str) -> Result<Vec<PgRow>, OpenError> {
    let mut tx = conn.begin().await.map_err(read_error)?;
    let rows = sqlx::query(statement)
        .persistent(false)
        .fetch_all(&mut *tx)
        .await
        .map_err(read_error)?;
    tx.commit().await.map_err(read_error)?;
    Ok(rows)
}

/// The answer of a yes-or-no question.
pub(crate) async fn ask(conn: &mut PgConnection, statement: &'static str) -> Result<bool, OpenError> {
    let rows = query(conn, statement).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound).map_err(read_error)?;
    Ok(row.try_get(0).map_err(read_error)?)
}
