//! Appending to ended runs, and purging.

use ag_store::Result;
use ag_types::{PlaneId, RunId};

use crate::{
    db::{Db, Value},
    writer::Answer,
};

/// Records per segment, by convention of all writers.
const SEGMENT_RECORDS: usize = 64;

pub(super) fn append(db: &Db, plane: PlaneId, run: RunId, lines: &[String]) -> Result<Answer> {
    let key = [Value::from(run), Value::from(plane)];
    let stored = db.first(
        "SELECT status, last_seq FROM runs WHERE run_id = ? AND plane_id = ?",
        &key,
        |row| Ok((row.status()?, row.int()?)),
    )?;
    let Some((_, stored)) = stored.filter(|(status, _)| status.is_terminal()) else {
        return Ok(Answer::Appended(None));
    };
    let mut last = stored;
    for chunk in lines.chunks(SEGMENT_RECORDS) {
        let first = last + 1;
        last = chunk.iter().fold(last, |last, _| last + 1);
        db.execute(
            "INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records) VALUES (?, ?, ?, ?, ?)",
            &[
                run.into(),
                plane.into(),
                last.into(),
                first.into(),
                chunk.join("\n").into(),
            ],
        )?;
    }
    db.execute(
        "UPDATE runs SET last_seq = ? WHERE run_id = ? AND plane_id = ?",
        &[last.into(), run.into(), plane.into()],
    )?;
    Ok(Answer::Appended(Some(stored + 1)))
}

/// Per run, in the order of the protocol: the head first, so that a holder is fenced, the run last.
pub(super) fn purge(db: &Db, plane: PlaneId, runs: &[RunId]) -> Result<Answer> {
    let (mut count, mut records, mut commands) = (0, 0, 0);
    for run in runs {
        let key = [Value::from(*run), Value::from(plane)];
        for statement in [
            "DELETE FROM run_heads WHERE run_id = ? AND plane_id = ?",
            "DELETE FROM mail WHERE run_id = ? AND plane_id = ?",
            "DELETE FROM start_keys WHERE run_id = ? AND plane_id = ?",
        ] {
            db.execute(statement, &key)?;
        }
        let deleted = db.all(
            "DELETE FROM ledger WHERE run_id = ? AND plane_id = ? RETURNING last_seq - first_seq + 1",
            &key,
            |row| row.int(),
        )?;
        records += deleted
            .into_iter()
            .map(|count| u64::try_from(count).unwrap_or(0))
            .sum::<u64>();
        let owner = [plane.into(), run.to_string().into()];
        for statement in [
            "DELETE FROM memory_spans WHERE plane_id = ? AND owner_id = ?",
            "DELETE FROM kg_assertions WHERE plane_id = ? AND owner_id = ?",
        ] {
            db.execute(statement, &owner)?;
        }
        commands += rows(db.execute("DELETE FROM commands WHERE plane_id = ? AND run_id = ?", &owner)?);
        count += rows(db.execute("DELETE FROM runs WHERE run_id = ? AND plane_id = ?", &key)?);
    }
    Ok(Answer::Purged(count, records, commands))
}

fn rows(changed: usize) -> u64 {
    u64::try_from(changed).unwrap_or(u64::MAX)
}
