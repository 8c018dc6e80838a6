//! Bulk writes.

use std::{collections::HashSet, sync::Arc};

use ag_store::{ImportBatch, ImportCounts, ImportStore, ImportWake, Result};
use ag_types::{RunId, SystemScope, TenantScope};
use async_trait::async_trait;

use super::mismatch;
use crate::{
    store::SqliteStore,
    writer::{Answer, Import, Op},
};

impl SqliteStore {
    async fn import_step(&self, scope: &TenantScope, import: Import) -> Result<Answer> {
        self.write(Op::Import {
            plane: scope.plane,
            import,
        })
        .await
    }
}

#[async_trait]
impl ImportStore for SqliteStore {
    async fn in_use(&self, _: &SystemScope) -> Result<Option<String>> {
        // Whoever has opened the file owns it.
        Ok(None)
    }

    #[tracing::instrument(level = "debug", name = "store.import.stored_runs", skip_all)]
    async fn stored_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<HashSet<RunId>> {
        const SQL: &str = "SELECT run_id FROM runs WHERE run_id = ? AND plane_id = ?";
        self.read(|db| {
            let mut stored = HashSet::new();
            for run in runs {
                let values = [(*run).into(), scope.plane.into()];
                stored.extend(db.first(SQL, &values, |row| row.run_id())?);
            }
            Ok(stored)
        })
    }

    #[tracing::instrument(level = "debug", name = "store.import.rows", skip_all)]
    async fn import(&self, scope: &TenantScope, batch: ImportBatch) -> Result<ImportCounts> {
        match self.import_step(scope, Import::Rows(Box::new(batch))).await? {
            Answer::Imported(counts) => Ok(counts),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.import.heads", skip_all)]
    async fn import_heads(&self, scope: &TenantScope, heads: &[(RunId, Arc<str>)]) -> Result<u64> {
        match self.import_step(scope, Import::Heads(heads.to_vec())).await? {
            Answer::Counted(count) => Ok(count),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.import.wakes", skip_all)]
    async fn import_wakes(&self, scope: &TenantScope, wakes: &[ImportWake]) -> Result<u64> {
        match self.import_step(scope, Import::Wakes(wakes.to_vec())).await? {
            Answer::Counted(count) => Ok(count),
            _ => Err(mismatch()),
        }
    }

    async fn raise_command_seq(&self, scope: &TenantScope, seq: i64) -> Result<()> {
        self.import_step(scope, Import::CommandSeq(seq)).await.map(|_| ())
    }
}
