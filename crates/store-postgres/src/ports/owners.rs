//! Memory owners.

use ag_store::{OwnerRow, OwnerStore, Result, StoreError};
use ag_types::TenantScope;
use async_trait::async_trait;

use crate::{
    rows::{Cursor, tenant},
    stamp::Stamp,
    store::PostgresStore,
};

pub(super) const OWNER: &str = tenant!(
    "SELECT owner_id, session_id, created_at, updated_at FROM memory_owners \
     WHERE plane_id = s.plane AND owner_id = $2"
);

#[async_trait]
impl OwnerStore for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.owner.ensure_owner", skip_all)]
    async fn ensure_owner(&self, scope: &TenantScope, owner: OwnerRow) -> Result<OwnerRow> {
        // The usual case reads only.
        if let Some(stored) = self.owner(scope, &owner.owner_id).await? {
            return Ok(stored);
        }
        let query = sqlx::query(
            "INSERT INTO memory_owners (plane_id, owner_id, session_id, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(scope.plane.0)
        .bind(&owner.owner_id)
        .bind(&owner.session_id)
        .bind(Stamp(owner.created_at))
        .bind(Stamp(owner.updated_at));
        self.database.write_in(scope, query).await?;
        let stored = self.owner(scope, &owner.owner_id).await?;
        stored.ok_or_else(|| StoreError::Unavailable("the owner was purged meanwhile".to_owned()))
    }

    #[tracing::instrument(level = "debug", name = "store.owner.owner", skip_all)]
    async fn owner(&self, scope: &TenantScope, owner_id: &str) -> Result<Option<OwnerRow>> {
        let query = sqlx::query(OWNER).bind(scope.plane.0).bind(owner_id);
        let rows = self.database.read(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut cursor = Cursor::new(row);
        Ok(Some(OwnerRow {
            owner_id: cursor.string()?,
            session_id: cursor.opt_string()?,
            created_at: cursor.time()?,
            updated_at: cursor.time()?,
        }))
    }
}
