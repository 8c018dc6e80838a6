//! Documents.

use ag_store::{Document, DocumentKind, Documents, PutMode, PutOutcome, Result};
use ag_types::TenantScope;
use async_trait::async_trait;
use sqlx::{Connection as _, sqlite::SqliteRow};

use super::mismatch;
use crate::{
    error::store_error,
    rows::Cursor,
    store::SqliteStore,
    writer::{Answer, Op},
};

const GENERATION: &str = "SELECT generation FROM planes WHERE plane_id = ?";

#[async_trait]
impl Documents for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.document.generation", skip_all)]
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        let mut reader = self.reader().await?;
        sqlx::query_scalar(GENERATION)
            .bind(scope.plane.0)
            .fetch_one(&mut *reader)
            .await
            .map_err(store_error)
    }

    #[tracing::instrument(level = "debug", name = "store.document.document", skip_all)]
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(
            "SELECT id, body, updated_at FROM documents WHERE plane_id = ? AND kind = ? AND id = ?",
        )
        .bind(scope.plane.0)
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(&mut *reader)
        .await
        .map_err(store_error)?;
        row.as_ref().map(document).transpose()
    }

    #[tracing::instrument(level = "debug", name = "store.document.documents", skip_all)]
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        let mut reader = self.reader().await?;
        // One read transaction: the list belongs to the generation.
        let mut snapshot = reader.begin().await.map_err(store_error)?;
        let generation = sqlx::query_scalar(GENERATION)
            .bind(scope.plane.0)
            .fetch_one(&mut *snapshot)
            .await
            .map_err(store_error)?;
        let rows = sqlx::query(
            "SELECT id, body, updated_at FROM documents WHERE plane_id = ? AND kind = ? ORDER BY id",
        )
        .bind(scope.plane.0)
        .bind(kind.as_str())
        .fetch_all(&mut *snapshot)
        .await
        .map_err(store_error)?;
        snapshot.commit().await.map_err(store_error)?;
        Ok((generation, rows.iter().map(document).collect::<Result<_>>()?))
    }

    #[tracing::instrument(level = "debug", name = "store.document.put_document", skip_all)]
    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    ) -> Result<PutOutcome> {
        match self
            .write(Op::PutDocument {
                plane: scope.plane,
                kind,
                document,
                mode,
            })
            .await?
        {
            Answer::Put(outcome) => Ok(outcome),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.document.delete_document", skip_all)]
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool> {
        match self
            .write(Op::DeleteDocument {
                plane: scope.plane,
                kind,
                id: id.to_owned(),
            })
            .await?
        {
            Answer::Changed(deleted) => Ok(deleted),
            _ => Err(mismatch()),
        }
    }
}

fn document(row: &SqliteRow) -> Result<Document> {
    let mut cursor = Cursor::new(row);
    Ok(Document {
        id: cursor.string()?,
        body: cursor.string()?,
        updated_at: cursor.time()?,
    })
}
