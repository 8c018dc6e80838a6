//! The same in Postgres, beside a running cluster.

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{TABLES, TEXTS, prefix};

/// Rows per statement: enough to be quick, few enough to be interrupted.
const PART: usize = 50_000;

/// Makes `count` copies of a run.
///
/// # Errors
/// The server refuses, or there is no such run.
pub(crate) async fn postgres(conn: &mut PgConnection, run: &str, count: usize) -> Result<()> {
    // The database's own limits are made for short statements.
    for setting in [
        "SET statement_timeout = 0",
        "SET enable_seqscan = on",
        "SET synchronous_commit = off",
        // No look at the plane for each row.
        "SET session_replication_role = replica",
    ] {
        sqlx::raw_sql(setting).execute(&mut *conn).await?;
    }
    let prefix = prefix();
    for table in TABLES {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT attname::text FROM pg_attribute
             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        )
        .bind(table)
        .fetch_all(&mut *conn)
        .await?;
        let values: Vec<_> = columns.iter().map(|column| value(column)).collect();
        let copy = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {table}
             CROSS JOIN (SELECT $1::text || lpad(to_hex(n), 12, '0') AS id FROM generate_series($2::int, $3::int) n) copies
             WHERE run_id = $4::text::uuid",
            columns.join(", "),
            values.join(", ")
        );
        for begin in (0..count).step_by(PART) {
            let end = (begin + PART).min(count);
            // Safe: names of columns and tables, nothing from outside.
            let made = sqlx::query(AssertSqlSafe(copy.as_str()))
                .bind(&prefix)
                .bind(i32::try_from(begin)?)
                .bind(i32::try_from(end)? - 1)
                .bind(run)
                .execute(&mut *conn)
                .await?;
            ensure!(
                table != "runs" || made.rows_affected() == (end - begin) as u64,
                "no run {run}"
            );
        }
    }
    // What a long-lived table has, and what must not happen during a measurement instead.
    for settle in [
        "VACUUM (ANALYZE) runs",
        "VACUUM (ANALYZE) run_heads",
        "VACUUM (ANALYZE) ledger",
        "CHECKPOINT",
    ] {
        sqlx::raw_sql(settle).execute(&mut *conn).await?;
    }
    Ok(())
}

fn value(column: &str) -> String {
    match column {
        "run_id" => "copies.id::uuid".to_owned(),
        text if TEXTS.contains(&text) => format!("replace({text}, $4::text, copies.id)"),
        other => other.to_owned(),
    }
}
