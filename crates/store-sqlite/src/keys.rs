//! Rows of many keys in few statements.

use ag_store::Result;
use futures::TryStreamExt as _;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use crate::{
    error::store_error,
    sql::{RowsSql, Value, args, text},
};

/// Runs a `RowsSql` query for all key rows and hands every result row to `each`.
pub(crate) async fn fetch_rows(
    conn: &mut SqliteConnection,
    sql: &RowsSql,
    mut keys: Vec<Vec<Value>>,
    mut each: impl FnMut(&SqliteRow) -> Result<()>,
) -> Result<()> {
    while !keys.is_empty() {
        let (statement, size) = sql.largest(keys.len());
        let rest = keys.split_off(size);
        let chunk = std::mem::replace(&mut keys, rest);
        let args = args(chunk.into_iter().flatten())?;
        let mut rows = sqlx::query_with(text(statement), args).fetch(&mut *conn);
        while let Some(row) = rows.try_next().await.map_err(store_error)? {
            each(&row)?;
        }
    }
    Ok(())
}
