//! Ledgers.

use ag_store::{LedgerPage, Result, Tail};
use ag_types::{RunId, RunKey, TenantScope};
use uuid::Uuid;

use super::limit as bound;
use crate::{
    reader::{PageQuery, read_together},
    rows::Cursor,
    store::PostgresStore,
};

/// Records per segment, by convention of all writers.
const SEGMENT_RECORDS: usize = 64;

/// Pages up to this many records are read together with others.
const SMALL_PAGE: usize = 32;

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
        let query = PageQuery {
            plane: scope.plane,
            run,
            after,
            limit,
        };
        if limit <= SMALL_PAGE {
            return self.pages.read(query).await;
        }
        let mut pages = read_together(&self.database, scope.plane, &[query]).await?;
        Ok(pages.pop().flatten())
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
