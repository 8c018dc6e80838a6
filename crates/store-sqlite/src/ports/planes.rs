//! Planes, remembered in memory after their first use.

use ag_store::{Planes, Result};
use ag_types::{PlaneId, PlaneKey, SystemScope, TenantScope};
use async_trait::async_trait;

use super::mismatch;
use crate::{
    rows::Cursor,
    store::SqliteStore,
    writer::{Answer, Op},
};

#[async_trait]
impl Planes for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.plane.plane", skip_all)]
    async fn plane(&self, _: &SystemScope, key: &PlaneKey) -> Result<TenantScope> {
        if let Some(scope) = self.shared.planes.read().by_key(key) {
            return Ok(scope);
        }
        match self.write(Op::Plane(key.clone())).await? {
            Answer::Plane(scope) => {
                self.shared.planes.write().insert(&scope);
                Ok(scope)
            }
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.plane.plane_by_id", skip_all)]
    async fn plane_by_id(&self, _: &SystemScope, plane: PlaneId) -> Result<Option<TenantScope>> {
        if let Some(scope) = self.shared.planes.read().by_id(plane) {
            return Ok(Some(scope));
        }
        const SQL: &str = "SELECT plane_id, tenant_id, runtime_id FROM planes WHERE plane_id = ?";
        let scope = self.read(|db| db.first(SQL, &[plane.into()], scope))?;
        if let Some(scope) = &scope {
            self.shared.planes.write().insert(scope);
        }
        Ok(scope)
    }

    #[tracing::instrument(level = "debug", name = "store.plane.planes", skip_all)]
    async fn planes(&self, _: &SystemScope) -> Result<Vec<TenantScope>> {
        const SQL: &str = "SELECT plane_id, tenant_id, runtime_id FROM planes ORDER BY plane_id";
        self.scan(|db| db.all(SQL, &[], scope)).await
    }
}

fn scope(cursor: &mut Cursor<'_>) -> Result<TenantScope> {
    let plane = cursor.plane()?;
    Ok(TenantScope {
        plane,
        key: PlaneKey {
            tenant_id: cursor.shared()?,
            runtime_id: cursor.shared()?,
        },
    })
}
