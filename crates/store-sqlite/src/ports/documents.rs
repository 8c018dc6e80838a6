//! Documents.

use ag_store::{Document, DocumentKind, Documents, PutMode, PutOutcome, Result};
use ag_types::{PlaneId, TenantScope};
use async_trait::async_trait;

use super::mismatch;
use crate::{
    db::{Db, Value},
    error::corrupt,
    rows::Cursor,
    store::SqliteStore,
    writer::{Answer, Op},
};

const GENERATION: &str = "SELECT generation FROM planes WHERE plane_id = ?";

#[async_trait]
impl Documents for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.document.generation", skip_all)]
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        self.read(|db| generation(db, scope.plane))
    }

    #[tracing::instrument(level = "debug", name = "store.document.document", skip_all)]
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        const SQL: &str =
            "SELECT id, body, updated_at FROM documents WHERE plane_id = ? AND kind = ? AND id = ?";
        let values = [scope.plane.into(), kind.as_str().into(), Value::text(id)];
        self.read(|db| db.first(SQL, &values, document))
    }

    #[tracing::instrument(level = "debug", name = "store.document.documents", skip_all)]
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        const SQL: &str =
            "SELECT id, body, updated_at FROM documents WHERE plane_id = ? AND kind = ? ORDER BY id";
        let plane = scope.plane;
        // One read transaction: the list belongs to the generation.
        self.scan(move |db| {
            db.snapshot(|db| {
                let documents = db.all(SQL, &[plane.into(), kind.as_str().into()], document)?;
                Ok((generation(db, plane)?, documents))
            })
        })
        .await
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

    #[tracing::instrument(level = "debug", name = "store.document.replace_unchanged", skip_all)]
    async fn replace_unchanged(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        read: &str,
        document: Document,
    ) -> Result<bool> {
        match self
            .write(Op::ReplaceUnchanged {
                plane: scope.plane,
                kind,
                read: read.to_owned(),
                document,
            })
            .await?
        {
            Answer::Changed(replaced) => Ok(replaced),
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

fn generation(db: &Db, plane: PlaneId) -> Result<i64> {
    db.first(GENERATION, &[plane.into()], |row| row.int())?
        .ok_or_else(|| corrupt("plane", plane.0))
}

fn document(cursor: &mut Cursor<'_>) -> Result<Document> {
    Ok(Document {
        id: cursor.string()?,
        body: cursor.string()?,
        updated_at: cursor.time()?,
    })
}
