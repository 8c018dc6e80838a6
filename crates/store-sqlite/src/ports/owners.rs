//! Memory owners.

use ag_store::{OwnerRow, OwnerStore, Result};
use ag_types::{PlaneId, TenantScope};
use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::mismatch;
use crate::{
    error::store_error,
    rows::Cursor,
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
        let mut reader = self.reader().await?;
        owner_row(&mut reader, scope.plane, owner_id).await
    }
}

pub(crate) async fn owner_row(
    conn: &mut SqliteConnection,
    plane: PlaneId,
    owner_id: &str,
) -> Result<Option<OwnerRow>> {
    let row = sqlx::query(
        "SELECT owner_id, session_id, created_at, updated_at FROM memory_owners WHERE plane_id = ? AND owner_id = ?",
    )
    .bind(plane.0)
    .bind(owner_id)
    .fetch_optional(conn)
    .await
    .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    let mut cursor = Cursor::new(&row);
    Ok(Some(OwnerRow {
        owner_id: cursor.string()?,
        session_id: cursor.opt_string()?,
        created_at: cursor.time()?,
        updated_at: cursor.time()?,
    }))
}
