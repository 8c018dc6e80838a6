//! Ledgers.

use ag_store::{LedgerPage, Result, Segment, Tail};
use ag_types::{RunId, RunKey, TenantScope};

use super::count;
use crate::store::SqliteStore;

/// Status and records in one statement, hence of one moment. The page ends with the segment that holds its last
/// record: records are dense, so its number is known.
pub(super) const PAGE: &str = "SELECT r.status, r.last_seq, l.first_seq, l.last_seq, l.records FROM runs r \
     LEFT JOIN ledger l ON l.run_id = r.run_id AND l.plane_id = r.plane_id AND l.last_seq > ?3 \
     AND l.last_seq <= coalesce((SELECT e.last_seq FROM ledger e WHERE e.run_id = ?1 AND e.plane_id = ?2 \
     AND e.last_seq >= ?4 ORDER BY e.last_seq LIMIT 1), ?4) \
     WHERE r.run_id = ?1 AND r.plane_id = ?2 ORDER BY l.last_seq";

pub(super) const TAIL: &str = "SELECT last_seq, status FROM runs WHERE run_id = ? AND plane_id = ?";

impl SqliteStore {
    pub(super) fn ledger_page(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        let end = after.saturating_add(count(limit));
        let values = [run.into(), scope.plane.into(), after.into(), end.into()];
        let mut found = None;
        let segments = self.read(|db| {
            db.all(PAGE, &values, |row| {
                found = Some((row.status()?, row.int()?));
                Ok(match row.opt_int()? {
                    None => None,
                    Some(first_seq) => Some(Segment {
                        first_seq,
                        last_seq: row.int()?,
                        lines: row.shared()?,
                    }),
                })
            })
        })?;
        Ok(found.map(|(status, last_seq)| LedgerPage {
            status,
            last_seq,
            segments: segments.into_iter().flatten().collect(),
            after,
            limit,
        }))
    }

    pub(super) fn ledger_tails(&self, keys: &[RunKey]) -> Result<Vec<Tail>> {
        let mut tails = Vec::with_capacity(keys.len());
        self.read(|db| {
            for key in keys {
                let tail = db.first(TAIL, &[key.run.into(), key.plane.into()], |row| {
                    Ok(Tail {
                        key: *key,
                        last_seq: row.int()?,
                        status: row.status()?,
                    })
                })?;
                tails.extend(tail);
            }
            Ok(tails)
        })
    }
}
