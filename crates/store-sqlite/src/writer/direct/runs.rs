//! Appending to ended runs, and purging.

use ag_store::Result;
use ag_types::{PlaneId, RunId};
use sqlx::SqliteConnection;

use crate::{
    error::store_error,
    rows::Cursor,
    sql::{Value, args},
    writer::Answer,
};

/// Records per segment, by convention of all writers.
const SEGMENT_RECORDS: usize = 64;

pub(super) async fn append(
    conn: &mut SqliteConnection,
    plane: PlaneId,
    run: RunId,
    lines: &[String],
) -> Result<Answer> {
    let key = || [Value::from(run), Value::from(plane)];
    let row = sqlx::query_with(
        "SELECT status, last_seq FROM runs WHERE run_id = ? AND plane_id = ?",
        args(key())?,
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(Answer::Appended(None));
    };
    let mut cursor = Cursor::new(&row);
    let (status, stored) = (cursor.status()?, cursor.int()?);
    if !status.is_terminal() {
        return Ok(Answer::Appended(None));
    }
    let mut last = stored;
    for chunk in lines.chunks(SEGMENT_RECORDS) {
        let first = last + 1;
        last = chunk.iter().fold(last, |last, _| last + 1);
        let values = key()
            .into_iter()
            .chain([last.into(), first.into(), Value::Owned(chunk.join("\n"))]);
        sqlx::query_with(
            "INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records) VALUES (?, ?, ?, ?, ?)",
            args(values)?,
        )
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    }
    let values = [Value::from(last)].into_iter().chain(key());
    sqlx::query_with(
        "UPDATE runs SET last_seq = ? WHERE run_id = ? AND plane_id = ?",
        args(values)?,
    )
    .execute(conn)
    .await
    .map_err(store_error)?;
    Ok(Answer::Appended(Some(stored + 1)))
}

/// Per run, in the order of the protocol: the head first, so that a holder is fenced, the run last.
pub(super) async fn purge(conn: &mut SqliteConnection, plane: PlaneId, runs: &[RunId]) -> Result<Answer> {
    let (mut count, mut records, mut commands) = (0, 0, 0);
    for run in runs {
        let key = || [Value::from(*run), Value::from(plane)];
        for statement in [
            "DELETE FROM run_heads WHERE run_id = ? AND plane_id = ?",
            "DELETE FROM mail WHERE run_id = ? AND plane_id = ?",
            "DELETE FROM start_keys WHERE run_id = ? AND plane_id = ?",
        ] {
            sqlx::query_with(statement, args(key())?)
                .execute(&mut *conn)
                .await
                .map_err(store_error)?;
        }
        let deleted = sqlx::query_with(
            "DELETE FROM ledger WHERE run_id = ? AND plane_id = ? RETURNING last_seq - first_seq + 1",
            args(key())?,
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(store_error)?;
        for row in deleted {
            records += u64::try_from(Cursor::new(&row).int()?).unwrap_or(0);
        }
        commands += sqlx::query_with(
            "DELETE FROM commands WHERE plane_id = ? AND run_id = ?",
            args([plane.into(), Value::Owned(run.to_string())])?,
        )
        .execute(&mut *conn)
        .await
        .map_err(store_error)?
        .rows_affected();
        count += sqlx::query_with("DELETE FROM runs WHERE run_id = ? AND plane_id = ?", args(key())?)
            .execute(&mut *conn)
            .await
            .map_err(store_error)?
            .rows_affected();
    }
    Ok(Answer::Purged(count, records, commands))
}
