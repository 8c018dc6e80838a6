//! Documents; each change raises the generation of the plane.

use ag_store::{Document, DocumentKind, PutMode, PutOutcome, Result};
use ag_types::PlaneId;

use crate::{
    db::{Db, Value},
    error::corrupt,
    writer::Answer,
};

pub(super) fn put(
    db: &Db,
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
    let values = [
        plane.into(),
        kind.as_str().into(),
        (&document.id).into(),
        (&document.body).into(),
        document.updated_at.into(),
    ];
    let outcome = if db.execute(statement, &values)? > 0 {
        PutOutcome::Written {
            generation: raise(db, plane)?,
        }
    } else if mode == PutMode::Create {
        PutOutcome::Exists
    } else {
        PutOutcome::Missing
    };
    Ok(Answer::Put(outcome))
}

pub(super) fn replace_unchanged(
    db: &Db,
    plane: PlaneId,
    kind: DocumentKind,
    read: &str,
    document: &Document,
) -> Result<Answer> {
    let values = [
        (&document.body).into(),
        document.updated_at.into(),
        plane.into(),
        kind.as_str().into(),
        (&document.id).into(),
        Value::text(read),
    ];
    let replaced = db.execute(
        "UPDATE documents SET body = ?, updated_at = ? WHERE plane_id = ? AND kind = ? AND id = ? AND body = ?",
        &values,
    )? > 0;
    if replaced {
        raise(db, plane)?;
    }
    Ok(Answer::Changed(replaced))
}

pub(super) fn delete(db: &Db, plane: PlaneId, kind: DocumentKind, id: &str) -> Result<Answer> {
    let deleted = db.execute(
        "DELETE FROM documents WHERE plane_id = ? AND kind = ? AND id = ?",
        &[plane.into(), kind.as_str().into(), Value::text(id)],
    )? > 0;
    if deleted {
        raise(db, plane)?;
    }
    Ok(Answer::Changed(deleted))
}

fn raise(db: &Db, plane: PlaneId) -> Result<i64> {
    let update = "UPDATE planes SET generation = generation + 1 WHERE plane_id = ? RETURNING generation";
    db.first(update, &[plane.into()], |row| row.int())?
        .ok_or_else(|| corrupt("plane", plane.0))
}
