//! Schema versions, kept in `PRAGMA user_version`. Each file runs once, in one transaction.

use ag_store::Result;
use sqlx::{SqlStr, SqliteConnection};

use crate::error::{corrupt, store_error};

/// The files, in order; the position is the version.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/sqlite/0001_initial.sql")];

/// Brings the schema to the newest version.
///
/// # Errors
/// When a statement fails, or the file was written by a newer program.
pub(crate) async fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    let stored: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *conn)
        .await
        .map_err(store_error)?;
    let version = usize::try_from(stored).map_err(|_| corrupt("schema version", stored))?;
    if version > MIGRATIONS.len() {
        let newest = MIGRATIONS.len();
        return Err(corrupt(
            "schema version",
            format!("{version} is newer than {newest}, the newest known here"),
        ));
    }
    for (index, body) in MIGRATIONS.iter().enumerate().skip(version) {
        let target = index + 1;
        let script = format!("BEGIN IMMEDIATE;\n{body}\nPRAGMA user_version = {target};\nCOMMIT;");
        // Safe: the file is part of the program, the number is counted here.
        let script: SqlStr = sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(script));
        if let Err(error) = sqlx::raw_sql(script).execute(&mut *conn).await {
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await;
            return Err(store_error(error));
        }
        tracing::info!(version = target, "schema migrated");
    }
    Ok(())
}
