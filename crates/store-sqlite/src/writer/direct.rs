//! Rare writes, each in a transaction of its own.

mod documents;
mod imports;
mod runs;

use ag_store::{OwnerRow, Result, StoreError};
use ag_types::{PlaneId, PlaneKey, TenantScope, Timestamp};

use super::{
    Answer, Import, Op, Writer,
    flush::transaction,
    plan::{artifact_values, owner_values},
    statements::Statement,
};
use crate::db::{Db, Query, Value};

impl Writer {
    /// Runs one operation between `BEGIN` and `COMMIT`.
    pub(super) fn direct(&mut self, op: &Op) -> Result<Answer> {
        let now = self.shared.clock.now();
        let answer = transaction(&self.db, |db| statements(db, op, now))?;
        self.after(op);
        if let Op::Import { plane, import } = op {
            self.announce_imported(*plane, import, now)?;
        }
        Ok(answer)
    }

    /// Lets runners of this process see what an import has made ready.
    fn announce_imported(&self, plane: PlaneId, import: &Import, now: Timestamp) -> Result<()> {
        let Import::Wakes(wakes) = import else {
            return Ok(());
        };
        let select =
            "SELECT pool, ready_at FROM run_heads WHERE run_id = ? AND plane_id = ? AND ready_at IS NOT NULL";
        for wake in wakes {
            let values = [wake.run.into(), plane.into()];
            let found = self
                .db
                .first(select, &values, |row| Ok((row.shared()?, row.opt_time()?)))?;
            let Some((pool, since)) = found else { continue };
            let key = ag_types::RunKey { run: wake.run, plane };
            self.shared
                .leases
                .lock()
                .set_ready(key, &pool, since.unwrap_or(now));
        }
        Ok(())
    }

    /// What the committed operation changes in memory.
    fn after(&mut self, op: &Op) {
        match op {
            Op::PutDocument { plane, .. }
            | Op::ReplaceUnchanged { plane, .. }
            | Op::DeleteDocument { plane, .. }
            | Op::Import { plane, .. } => {
                self.planes.remove(plane);
            }
            Op::Purge { plane, runs } => {
                let mut leases = self.shared.leases.lock();
                for run in runs {
                    leases.forget(&ag_types::RunKey {
                        run: *run,
                        plane: *plane,
                    });
                }
            }
            _ => {}
        }
    }
}

fn statements(db: &Db, op: &Op, now: Timestamp) -> Result<Answer> {
    match op {
        Op::Append { plane, run, lines } => runs::append(db, *plane, *run, lines),
        Op::Purge { plane, runs } => runs::purge(db, *plane, runs),
        Op::Plane(key) => plane(db, key),
        Op::PutDocument {
            plane,
            kind,
            document,
            mode,
        } => documents::put(db, *plane, *kind, document, *mode),
        Op::ReplaceUnchanged {
            plane,
            kind,
            read,
            document,
        } => documents::replace_unchanged(db, *plane, *kind, read, document),
        Op::DeleteDocument { plane, kind, id } => documents::delete(db, *plane, *kind, id),
        Op::PutArtifact { plane, row } => {
            db.execute(Statement::Artifact.sql(), &artifact_values(*plane, row))?;
            Ok(Answer::Done)
        }
        Op::ArtifactMeta {
            plane,
            artifact_id,
            meta,
        } => artifact_meta(db, *plane, artifact_id, meta),
        Op::DeleteArtifacts { plane, run_ids } => delete_artifacts(db, *plane, run_ids),
        Op::EnsureOwner { plane, owner } => ensure_owner(db, *plane, owner),
        Op::Import { plane, import } => imports::import(db, *plane, import, now),
        Op::Start { .. }
        | Op::Commit(_)
        | Op::Release { .. }
        | Op::NoteDriven { .. }
        | Op::Post { .. }
        | Op::Sweep(_)
        | Op::TakeOver(_)
        | Op::CloseSession { .. }
        | Op::Close => Ok(Answer::Done),
    }
}

fn plane(db: &Db, key: &PlaneKey) -> Result<Answer> {
    let names = [(&key.tenant_id).into(), (&key.runtime_id).into()];
    db.execute(
        "INSERT INTO planes (tenant_id, runtime_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        &names,
    )?;
    let select = "SELECT plane_id FROM planes WHERE tenant_id = ? AND runtime_id = ?";
    let plane = db.first(select, &names, |row| row.plane())?;
    Ok(Answer::Plane(TenantScope {
        plane: plane.ok_or_else(|| StoreError::Internal("a plane vanished".to_owned()))?,
        key: key.clone(),
    }))
}

fn artifact_meta(db: &Db, plane: PlaneId, id: &str, meta: &str) -> Result<Answer> {
    let changed = db.execute(
        "UPDATE artifacts SET meta = ? WHERE plane_id = ? AND artifact_id = ?",
        &[Value::text(meta), plane.into(), Value::text(id)],
    )?;
    Ok(Answer::Changed(changed > 0))
}

/// Owners in one statement; far below the parameter limit of 32,766.
const OWNERS: usize = 500;

fn delete_artifacts(db: &Db, plane: PlaneId, run_ids: &[String]) -> Result<Answer> {
    let mut deleted = 0;
    let mut blobs = std::collections::BTreeSet::new();
    for chunk in run_ids.chunks(OWNERS) {
        let mut delete = Query::new("DELETE FROM artifacts WHERE plane_id = ");
        delete.bind(plane).push(" AND run_id IN (").list(chunk);
        delete.push(") RETURNING blob_id");
        for blob in db.query(&delete, |row| row.string())? {
            deleted += 1;
            blobs.insert(blob);
        }
    }
    let mut unused = Vec::new();
    for blob in blobs {
        let used = db.first(
            "SELECT 1 FROM artifacts WHERE plane_id = ? AND blob_id = ? LIMIT 1",
            &[plane.into(), Value::text(&blob)],
            |_| Ok(()),
        )?;
        if used.is_none() {
            unused.push(blob);
        }
    }
    Ok(Answer::Deleted(deleted, unused))
}

fn ensure_owner(db: &Db, plane: PlaneId, owner: &OwnerRow) -> Result<Answer> {
    db.execute(Statement::Owner.sql(), &owner_values(plane, owner))?;
    let row = crate::ports::owner_row(db, plane, &owner.owner_id)?;
    Ok(Answer::Owner(row.unwrap_or_else(|| owner.clone())))
}
