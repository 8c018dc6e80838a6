//! The ports of the store, one file each.

mod artifacts;
mod candidates;
mod claim;
mod commands;
mod documents;
mod imports;
mod ledger;
mod memory;
mod owners;
mod planes;
mod pools;
mod purge;
mod related;
mod run_list;
mod run_reads;
mod run_store;
mod sessions;
mod sweeps;

pub(crate) use claim::disown;

use ag_store::{Result, Woken};
use sqlx::postgres::PgRow;

use crate::rows::Cursor;

/// Rows of `run_id, plane_id, pool`.
fn woken(rows: &[PgRow]) -> Result<Vec<Woken>> {
    rows.iter()
        .map(|row| {
            let mut cursor = Cursor::new(row);
            Ok(Woken {
                key: cursor.key()?,
                pool: cursor.shared()?,
            })
        })
        .collect()
}

/// A limit as a parameter.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
