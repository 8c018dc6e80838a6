//! What the pools have to do; a read of two partial indexes, asked rarely.

use ag_store::{PoolLoad, Result};

use crate::{rows::Cursor, store::PostgresStore};

/// A function: nodes that serve callers ask as well, and row-level security hides the heads of all planes from them.
const POOLS: &str = "SELECT o_pool, o_runners, o_ready, o_leased, o_oldest FROM pools_v1($1)";

impl PostgresStore {
    pub(super) async fn pool_loads(&self) -> Result<Vec<PoolLoad>> {
        let query = sqlx::query(POOLS).bind(self.database.now());
        let rows = self.database.read(query).await?;
        rows.iter()
            .map(|row| {
                let mut cursor = Cursor::new(row);
                Ok(PoolLoad {
                    pool: cursor.shared()?,
                    runners: cursor.long()?,
                    ready: cursor.long()?,
                    leased: cursor.long()?,
                    oldest_ready: cursor.opt_time()?,
                })
            })
            .collect()
    }
}
