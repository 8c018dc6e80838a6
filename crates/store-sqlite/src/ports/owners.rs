//! Memory owners.

use ag_store::{OwnerRow, OwnerStore, Result};
use ag_types::{PlaneId, TenantScope};
use async_trait::async_trait;

use super::mismatch;
use crate::{
    db::{Db, Value},
    store::SqliteStore,
    writer::{Answer, Op},
};

#[async_trait]
impl OwnerStore for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.owner.ensure_owner", skip_all)]
    async fn ensure_owner(&self, scope: &TenantScope, owner: OwnerRow) -> Result<OwnerRow> {
        // The usual case reads only.
        if let Some(stored) = self.owner(scope, &owner.owner_id).await? {
            return Ok(stored);
        }
        match self
            .write(Op::EnsureOwner {
                plane: scope.plane,
                owner,
            })
            .await?
        {
            Answer::Owner(owner) => Ok(owner),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.owner.owner", skip_all)]
    async fn owner(&self, scope: &TenantScope, owner_id: &str) -> Result<Option<OwnerRow>> {
        self.read(|db| owner_row(db, scope.plane, owner_id))
    }
}

pub(crate) fn owner_row(db: &Db, plane: PlaneId, owner_id: &str) -> Result<Option<OwnerRow>> {
    const SQL: &str = "SELECT owner_id, session_id, created_at, updated_at FROM memory_owners \
         WHERE plane_id = ? AND owner_id = ?";
    db.first(SQL, &[plane.into(), Value::text(owner_id)], |row| {
        Ok(OwnerRow {
            owner_id: row.string()?,
            session_id: row.opt_string()?,
            created_at: row.time()?,
            updated_at: row.time()?,
        })
    })
}
