//! Planes, remembered in memory after their first use. The functions look across planes: who asks has none yet.

use ag_store::{Planes, Result};
use ag_types::{PlaneId, PlaneKey, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::postgres::PgRow;

use crate::{error::corrupt, rows::Cursor, store::PostgresStore};

const BY_KEY: &str = "SELECT plane_v1($1, $2)";
const BY_ID: &str = "SELECT o_plane, o_tenant, o_runtime FROM planes_v1($1)";
const VERSION: &str = "SELECT coalesce(max(version), 0)::bigint FROM schema_migrations";
const ALL: &str = "SELECT o_plane, o_tenant, o_runtime FROM planes_v1(NULL)";

#[async_trait]
impl Planes for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.plane.plane", skip_all)]
    async fn plane(&self, _: &SystemScope, key: &PlaneKey) -> Result<TenantScope> {
        if let Some(scope) = self.planes.read().by_key(key) {
            return Ok(scope);
        }
        let query = sqlx::query(BY_KEY).bind(&*key.tenant_id).bind(&*key.runtime_id);
        let done = self.database.write(query).await?;
        let row = done
            .rows
            .first()
            .ok_or_else(|| corrupt("plane", "it has no row"))?;
        let scope = TenantScope {
            plane: Cursor::new(row).plane()?,
            key: key.clone(),
        };
        self.planes.write().insert(&scope);
        Ok(scope)
    }

    #[tracing::instrument(level = "debug", name = "store.plane.plane_by_id", skip_all)]
    async fn plane_by_id(&self, _: &SystemScope, plane: PlaneId) -> Result<Option<TenantScope>> {
        if let Some(scope) = self.planes.read().by_id(plane) {
            return Ok(Some(scope));
        }
        let rows = self.database.read(sqlx::query(BY_ID).bind(plane.0)).await?;
        let found = rows.first().map(scope).transpose()?;
        if let Some(scope) = &found {
            self.planes.write().insert(scope);
        }
        Ok(found)
    }

    #[tracing::instrument(level = "debug", name = "store.plane.planes", skip_all)]
    async fn planes(&self, _: &SystemScope) -> Result<Vec<TenantScope>> {
        let rows = self.database.read(sqlx::query(ALL)).await?;
        rows.iter().map(scope).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.plane.is_current", skip_all)]
    async fn is_current(&self, _: &SystemScope) -> Result<bool> {
        let rows = self.database.read(sqlx::query(VERSION)).await?;
        let version = rows.first().map(|row| Cursor::new(row).long()).transpose()?;
        Ok(version.is_some_and(|version| version >= i64::from(crate::SCHEMA_VERSION)))
    }
}

fn scope(row: &PgRow) -> Result<TenantScope> {
    let mut cursor = Cursor::new(row);
    Ok(TenantScope {
        plane: cursor.plane()?,
        key: PlaneKey {
            tenant_id: cursor.shared()?,
            runtime_id: cursor.shared()?,
        },
    })
}
