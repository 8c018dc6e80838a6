//! Planes, remembered in memory after their first use.

use ag_store::{Planes, Result, StoreError};
use ag_types::{PlaneId, PlaneKey, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::postgres::PgRow;

use crate::{rows::Cursor, store::PostgresStore};

const BY_KEY: &str =
    "SELECT plane_id, tenant_id, runtime_id FROM planes WHERE tenant_id = $1 AND runtime_id = $2";

#[async_trait]
impl Planes for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.plane.plane", skip_all)]
    async fn plane(&self, _: &SystemScope, key: &PlaneKey) -> Result<TenantScope> {
        if let Some(scope) = self.planes.read().by_key(key) {
            return Ok(scope);
        }
        if let Some(scope) = self.stored_plane(key).await? {
            return Ok(scope);
        }
        let mut conn = self.database.conn().await?;
        sqlx::query("INSERT INTO planes (tenant_id, runtime_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&*key.tenant_id)
            .bind(&*key.runtime_id)
            .execute(&mut *conn)
            .await
            .map_err(|error| self.database.write_failed(error))?;
        drop(conn);
        let stored = self.stored_plane(key).await?;
        stored.ok_or_else(|| StoreError::Internal("a plane cannot be read after it was created".to_owned()))
    }

    #[tracing::instrument(level = "debug", name = "store.plane.plane_by_id", skip_all)]
    async fn plane_by_id(&self, _: &SystemScope, plane: PlaneId) -> Result<Option<TenantScope>> {
        if let Some(scope) = self.planes.read().by_id(plane) {
            return Ok(Some(scope));
        }
        let mut conn = self.database.conn().await?;
        let row = sqlx::query("SELECT plane_id, tenant_id, runtime_id FROM planes WHERE plane_id = $1")
            .bind(plane.0)
            .fetch_optional(&mut *conn)
            .await
            .map_err(|error| self.database.read_failed(error))?;
        row.as_ref().map(|row| self.remember(row)).transpose()
    }

    #[tracing::instrument(level = "debug", name = "store.plane.planes", skip_all)]
    async fn planes(&self, _: &SystemScope) -> Result<Vec<TenantScope>> {
        let mut conn = self.database.conn().await?;
        let rows = sqlx::query("SELECT plane_id, tenant_id, runtime_id FROM planes ORDER BY plane_id")
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| self.database.read_failed(error))?;
        rows.iter().map(scope).collect()
    }
}

impl PostgresStore {
    async fn stored_plane(&self, key: &PlaneKey) -> Result<Option<TenantScope>> {
        let mut conn = self.database.conn().await?;
        let row = sqlx::query(BY_KEY)
            .bind(&*key.tenant_id)
            .bind(&*key.runtime_id)
            .fetch_optional(&mut *conn)
            .await
            .map_err(|error| self.database.read_failed(error))?;
        row.as_ref().map(|row| self.remember(row)).transpose()
    }

    fn remember(&self, row: &PgRow) -> Result<TenantScope> {
        let scope = scope(row)?;
        self.planes.write().insert(&scope);
        Ok(scope)
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
