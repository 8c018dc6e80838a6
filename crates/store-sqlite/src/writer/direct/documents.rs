//! Documents; each change raises the generation of the plane.

use ag_store::{Document, DocumentKind, PutMode, PutOutcome, Result};
use ag_types::PlaneId;
use sqlx::SqliteConnection;

use crate::{error::store_error, writer::Answer};

pub(super) async fn put(
    conn: &mut SqliteConnection,
    plane: PlaneId,
    kind: DocumentKind,
    document: &Document,
    mode: PutMode,
) -> Result<Answer> {
    let statement = match mode {
        PutMode::Upsert => {
            "INSERT INTO documents (plane_id, kind, id, body, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (plane_id, kind, id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at"
        }
        PutMode::Create => {
            "INSERT INTO documents (plane_id, kind, id, body, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO NOTHING"
        }
        PutMode::Replace => {
            "UPDATE documents SET body = ?4, updated_at = ?5 WHERE plane_id = ?1 AND kind = ?2 AND id = ?3"
        }
    };
    let done = sqlx::query(statement)
        .bind(plane.0)
        .bind(kind.as_str())
        .bind(document.id.as_str())
        .bind(document.body.as_str())
        .bind(document.updated_at.as_micros())
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    let outcome = if done.rows_affected() > 0 {
        PutOutcome::Written {
            generation: raise(conn, plane).await?,
        }
    } else if mode == PutMode::Create {
        PutOutcome::Exists
    } else {
        PutOutcome::Missing
    };
    Ok(Answer::Put(outcome))
}

pub(super) async fn delete(
    conn: &mut SqliteConnection,
    plane: PlaneId,
    kind: DocumentKind,
    id: &str,
) -> Result<Answer> {
    let done = sqlx::query("DELETE FROM documents WHERE plane_id = ? AND kind = ? AND id = ?")
        .bind(plane.0)
        .bind(kind.as_str())
        .bind(id)
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    let deleted = done.rows_affected() > 0;
    if deleted {
        raise(conn, plane).await?;
    }
    Ok(Answer::Changed(deleted))
}

async fn raise(conn: &mut SqliteConnection, plane: PlaneId) -> Result<i64> {
    sqlx::query_scalar(
        "UPDATE planes SET generation = generation + 1 WHERE plane_id = ? RETURNING generation",
    )
    .bind(plane.0)
    .fetch_one(conn)
    .await
    .map_err(store_error)
}
