//! Ledgers.

use std::sync::LazyLock;

use ag_store::{LedgerPage, Result, Segment, Tail};
use ag_types::{RunId, RunKey, TenantScope};

use crate::{
    error::store_error,
    keys::fetch_rows,
    rows::Cursor,
    sql::{RowsSql, Value, args},
    store::SqliteStore,
};

/// Status and records in one statement, hence of one moment. The page ends with the segment that holds its last
/// record: records are dense, so its number is known.
pub(super) const PAGE: &str = "SELECT r.status, r.last_seq, l.first_seq, l.last_seq, l.records FROM runs r \
     LEFT JOIN ledger l ON l.run_id = r.run_id AND l.plane_id = r.plane_id AND l.last_seq > ?3 \
     AND l.last_seq <= coalesce((SELECT e.last_seq FROM ledger e WHERE e.run_id = ?1 AND e.plane_id = ?2 \
     AND e.last_seq >= ?4 ORDER BY e.last_seq LIMIT 1), ?4) \
     WHERE r.run_id = ?1 AND r.plane_id = ?2 ORDER BY l.last_seq";

pub(super) static TAILS: LazyLock<RowsSql> = LazyLock::new(|| {
    RowsSql::values(
        "SELECT r.run_id, r.plane_id, r.last_seq, r.status FROM (VALUES",
        2,
        ") k CROSS JOIN runs r ON r.run_id = k.column1 AND r.plane_id = k.column2",
    )
});

impl SqliteStore {
    pub(super) async fn ledger_page(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        let end = after.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        let args = args([run.into(), scope.plane.into(), Value::Int(after), Value::Int(end)])?;
        let mut reader = self.reader().await?;
        let rows = sqlx::query_with(PAGE, args)
            .fetch_all(&mut *reader)
            .await
            .map_err(store_error)?;
        drop(reader);
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut cursor = Cursor::new(first);
        let (status, last_seq) = (cursor.status()?, cursor.int()?);
        let mut segments = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut cursor = Cursor::new(row);
            cursor.skip(2);
            if let Some(first_seq) = cursor.opt_int()? {
                segments.push(Segment {
                    first_seq,
                    last_seq: cursor.int()?,
                    lines: cursor.shared()?,
                });
            }
        }
        Ok(Some(LedgerPage {
            status,
            last_seq,
            segments,
            after,
            limit,
        }))
    }

    pub(super) async fn ledger_tails(&self, keys: &[RunKey]) -> Result<Vec<Tail>> {
        let rows = keys
            .iter()
            .map(|key| vec![key.run.into(), key.plane.into()])
            .collect();
        let mut tails = Vec::with_capacity(keys.len());
        let mut reader = self.reader().await?;
        fetch_rows(&mut reader, &TAILS, rows, |row| {
            let mut cursor = Cursor::new(row);
            tails.push(Tail {
                key: cursor.key()?,
                last_seq: cursor.int()?,
                status: cursor.status()?,
            });
            Ok(())
        })
        .await?;
        Ok(tails)
    }
}
