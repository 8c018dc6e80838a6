//! Documents; each change raises the generation of the plane in the same statement.

use ag_store::{Document, DocumentKind, Documents, PutMode, PutOutcome, Result};
use ag_types::TenantScope;
use async_trait::async_trait;

use crate::{
    error::corrupt,
    rows::{Cursor, tenant},
    stamp::Stamp,
    store::PostgresStore,
};

pub(super) const GENERATION: &str = tenant!("SELECT generation FROM planes WHERE plane_id = s.plane");

pub(super) const DOCUMENT: &str =
    tenant!("SELECT id, body, updated_at FROM documents WHERE plane_id = s.plane AND kind = $2 AND id = $3");

/// One statement: the list belongs to the generation.
pub(super) const DOCUMENTS: &str = tenant!(
    "SELECT p.generation, d.id IS NOT NULL AS present, d.id, d.body, d.updated_at FROM planes p \
     LEFT JOIN documents d ON d.plane_id = p.plane_id AND d.kind = $2 WHERE p.plane_id = s.plane ORDER BY d.id"
);

const UPSERT: &str = "WITH w AS (INSERT INTO documents (plane_id, kind, id, body, updated_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (plane_id, kind, id) \
     DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at RETURNING 1) \
     UPDATE planes SET generation = generation + 1 WHERE plane_id = $1 AND EXISTS (SELECT FROM w) \
     RETURNING generation";
const CREATE: &str = "WITH w AS (INSERT INTO documents (plane_id, kind, id, body, updated_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1) \
     UPDATE planes SET generation = generation + 1 WHERE plane_id = $1 AND EXISTS (SELECT FROM w) \
     RETURNING generation";
const REPLACE: &str = "WITH w AS (UPDATE documents SET body = $4, updated_at = $5 \
     WHERE plane_id = $1 AND kind = $2 AND id = $3 RETURNING 1) \
     UPDATE planes SET generation = generation + 1 WHERE plane_id = $1 AND EXISTS (SELECT FROM w) \
     RETURNING generation";
const REPLACE_UNCHANGED: &str = "WITH w AS (UPDATE documents SET body = $4, updated_at = $5 \
     WHERE plane_id = $1 AND kind = $2 AND id = $3 AND body = $6 RETURNING 1) \
     UPDATE planes SET generation = generation + 1 WHERE plane_id = $1 AND EXISTS (SELECT FROM w) \
     RETURNING generation";
const DELETE: &str = "WITH w AS (DELETE FROM documents WHERE plane_id = $1 AND kind = $2 AND id = $3 RETURNING 1) \
     UPDATE planes SET generation = generation + 1 WHERE plane_id = $1 AND EXISTS (SELECT FROM w) \
     RETURNING generation";

#[async_trait]
impl Documents for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.document.generation", skip_all)]
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        let rows = self
            .database
            .read(sqlx::query(GENERATION).bind(scope.plane.0))
            .await?;
        let row = rows.first().ok_or_else(|| corrupt("plane", "it has no row"))?;
        Cursor::new(row).long()
    }

    #[tracing::instrument(level = "debug", name = "store.document.document", skip_all)]
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let query = sqlx::query(DOCUMENT)
            .bind(scope.plane.0)
            .bind(kind.as_str())
            .bind(id);
        let rows = self.database.read(query).await?;
        rows.first()
            .map(|row| document(&mut Cursor::new(row)))
            .transpose()
    }

    #[tracing::instrument(level = "debug", name = "store.document.documents", skip_all)]
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        let query = sqlx::query(DOCUMENTS).bind(scope.plane.0).bind(kind.as_str());
        let rows = self.database.read(query).await?;
        let (mut generation, mut documents) = (0, Vec::with_capacity(rows.len()));
        for row in &rows {
            let mut cursor = Cursor::new(row);
            generation = cursor.long()?;
            if cursor.flag()? {
                documents.push(document(&mut cursor)?);
            }
        }
        Ok((generation, documents))
    }

    #[tracing::instrument(level = "debug", name = "store.document.put_document", skip_all)]
    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    ) -> Result<PutOutcome> {
        let statement = match mode {
            PutMode::Upsert => UPSERT,
            PutMode::Create => CREATE,
            PutMode::Replace => REPLACE,
        };
        let query = sqlx::query(statement)
            .bind(scope.plane.0)
            .bind(kind.as_str())
            .bind(&document.id)
            .bind(&document.body)
            .bind(Stamp(document.updated_at));
        let done = self.database.write_in(scope, query).await?;
        let generation = done.rows.first().map(|row| Cursor::new(row).long()).transpose()?;
        Ok(match (generation, mode) {
            (Some(generation), _) => PutOutcome::Written { generation },
            (None, PutMode::Replace) => PutOutcome::Missing,
            (None, PutMode::Create | PutMode::Upsert) => PutOutcome::Exists,
        })
    }

    #[tracing::instrument(level = "debug", name = "store.document.replace_unchanged", skip_all)]
    async fn replace_unchanged(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        read: &str,
        document: Document,
    ) -> Result<bool> {
        let query = sqlx::query(REPLACE_UNCHANGED)
            .bind(scope.plane.0)
            .bind(kind.as_str())
            .bind(&document.id)
            .bind(&document.body)
            .bind(Stamp(document.updated_at))
            .bind(read);
        let done = self.database.write_in(scope, query).await?;
        Ok(!done.rows.is_empty())
    }

    #[tracing::instrument(level = "debug", name = "store.document.delete_document", skip_all)]
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool> {
        let query = sqlx::query(DELETE)
            .bind(scope.plane.0)
            .bind(kind.as_str())
            .bind(id);
        let done = self.database.write_in(scope, query).await?;
        Ok(!done.rows.is_empty())
    }
}

fn document(cursor: &mut Cursor<'_>) -> Result<Document> {
    Ok(Document {
        id: cursor.string()?,
        body: cursor.string()?,
        updated_at: cursor.time()?,
    })
}
