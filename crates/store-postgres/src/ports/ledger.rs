//! Ledgers.

use ag_store::{LedgerPage, Result, Segment, Tail};
use ag_types::{RunId, RunKey, TenantScope};
use uuid::Uuid;

use super::limit as bound;
use crate::{
    rows::{Cursor, tenant},
    store::PostgresStore,
};

/// Records per segment, by convention of all writers.
const SEGMENT_RECORDS: usize = 64;

/// Status and records in one statement, hence of one moment. The page ends with the segment that holds its last
/// record: records are dense, so its number is known.
pub(super) const PAGE: &str = tenant!(
    "SELECT r.status, r.last_seq AS ends, l.first_seq IS NOT NULL AS present, l.first_seq, l.last_seq, l.records \
     FROM runs r LEFT JOIN ledger l ON l.run_id = $2 AND l.plane_id = s.plane AND l.last_seq > $3 \
     AND l.last_seq <= coalesce((SELECT e.last_seq FROM ledger e WHERE e.run_id = $2 AND e.plane_id = s.plane \
     AND e.last_seq >= $4 ORDER BY e.last_seq LIMIT 1), $4) \
     WHERE r.run_id = $2 AND r.plane_id + 0 = s.plane ORDER BY l.last_seq"
);

/// Of several planes: a function that row-level security does not bind.
pub(super) const TAILS: &str = "SELECT o_run, o_plane, o_last_seq, o_status FROM tails_v1($1, $2)";

/// The row of the run is locked by its own update, so appends queue; a live run is not touched.
const APPEND: &str = "WITH r AS (UPDATE runs SET last_seq = last_seq + $3 WHERE run_id = $1 AND plane_id + 0 = $2 \
     AND status NOT IN ('running', 'waiting') RETURNING last_seq - $3 AS before), \
     l AS (INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records) \
     SELECT $1, $2, r.before + s.last, r.before + s.first, s.records \
     FROM r CROSS JOIN unnest($4::bigint[], $5::bigint[], $6::text[]) s(first, last, records)) \
     SELECT r.before + 1 FROM r";

impl PostgresStore {
    pub(super) async fn ledger_page(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        let end = after.saturating_add(bound(limit));
        let query = sqlx::query(PAGE)
            .bind(scope.plane.0)
            .bind(run.0)
            .bind(after)
            .bind(end);
        let rows = self.database.read(query).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut cursor = Cursor::new(first);
        let (status, last_seq) = (cursor.status()?, cursor.long()?);
        let mut segments = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut cursor = Cursor::new(row);
            cursor.skip(2);
            if cursor.flag()? {
                segments.push(Segment {
                    first_seq: cursor.long()?,
                    last_seq: cursor.long()?,
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
        let runs: Vec<Uuid> = keys.iter().map(|key| key.run.0).collect();
        let planes: Vec<i32> = keys.iter().map(|key| key.plane.0).collect();
        let rows = self
            .database
            .read(sqlx::query(TAILS).bind(runs).bind(planes))
            .await?;
        rows.iter()
            .map(|row| {
                let mut cursor = Cursor::new(row);
                Ok(Tail {
                    key: cursor.key()?,
                    last_seq: cursor.long()?,
                    status: cursor.status()?,
                })
            })
            .collect()
    }

    pub(super) async fn append_records(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>> {
        let (mut firsts, mut lasts, mut records) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = 0;
        for chunk in lines.chunks(SEGMENT_RECORDS) {
            firsts.push(last + 1);
            last += bound(chunk.len());
            lasts.push(last);
            records.push(chunk.join("\n"));
        }
        let query = sqlx::query(APPEND)
            .bind(run.0)
            .bind(scope.plane.0)
            .bind(last)
            .bind(firsts)
            .bind(lasts)
            .bind(records);
        let done = self.database.write_in(scope, query).await?;
        done.rows.first().map(|row| Cursor::new(row).long()).transpose()
    }
}
