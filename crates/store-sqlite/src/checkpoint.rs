//! Checkpoints beside the writer.
//!
//! The writer rings each time it has written a few MiB. A passive checkpoint copies what no reader needs
//! and never waits; when readers keep the log from being reused until it reaches its limit, it is emptied with
//! writers held back for that moment.

use std::sync::Arc;

use sqlx::SqliteConnection;
use tokio::sync::Notify;

/// Page size of the database.
const PAGE_BYTES: u64 = 4096;

/// Runs until `stop`; `wake` is rung by the writer.
pub(crate) async fn run(mut conn: SqliteConnection, limit: u64, wake: Arc<Notify>, stop: Arc<Notify>) {
    loop {
        tokio::select! {
            () = wake.notified() => {}
            () = stop.notified() => break,
        }
        let left = checkpoint(&mut conn, "PRAGMA wal_checkpoint(PASSIVE)").await;
        if left.is_none_or(|pages| pages * PAGE_BYTES >= limit) {
            checkpoint(&mut conn, "PRAGMA wal_checkpoint(RESTART)").await;
        }
    }
    let _ = sqlx::Connection::close(conn).await;
}

/// Pages in the log; `None` when the checkpoint failed.
async fn checkpoint(conn: &mut SqliteConnection, statement: &'static str) -> Option<u64> {
    match sqlx::query_as::<_, (i64, i64, i64)>(statement)
        .fetch_one(conn)
        .await
    {
        Ok((busy, pages, done)) => {
            tracing::debug!(statement, busy, pages, done, "checkpoint");
            u64::try_from(pages).ok()
        }
        Err(error) => {
            tracing::warn!(%error, statement, "checkpoint failed");
            None
        }
    }
}
