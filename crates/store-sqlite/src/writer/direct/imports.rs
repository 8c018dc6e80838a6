//! The steps of an import; see `ag_store::imports` for their order.

use std::{collections::HashSet, sync::Arc};

use ag_store::{
    Assertion, ImportBatch, ImportCounts, ImportWake, Result, Segment, SpanEntry, memory::column_text,
};
use ag_types::{PlaneId, RunId, RunKey, Timestamp};

use crate::{
    db::{Db, Value},
    writer::{
        Answer, Import,
        plan::{artifact_values, assertion_values, owner_values, run_values, span_values},
        statements::Statement,
    },
};

const ARTIFACT: &str = "INSERT INTO artifacts (plane_id, artifact_id, run_id, blob_id, content_type, size_bytes, \
     created_at, semantic_kind, render_kind, modality, session_id, meta) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const COMMAND: &str = "INSERT INTO commands (plane_id, command_id, seq, run_id, type, payload, client_id, ts, \
     created_at, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const DOCUMENT: &str = "INSERT INTO documents (plane_id, kind, id, body, updated_at) VALUES (?, ?, ?, ?, ?) \
     ON CONFLICT DO NOTHING";

pub(super) fn import(db: &Db, plane: PlaneId, import: &Import, now: Timestamp) -> Result<Answer> {
    match import {
        Import::Rows(batch) => rows(db, plane, batch).map(Answer::Imported),
        Import::Heads(heads) => make_heads(db, plane, heads).map(Answer::Counted),
        Import::Wakes(wakes) => {
            let mut changed = 0;
            for wake in wakes {
                changed += u64::from(set_off(db, plane, wake, now)?);
            }
            Ok(Answer::Counted(changed))
        }
        Import::CommandSeq(seq) => {
            db.execute(
                "UPDATE planes SET command_seq = max(command_seq, ?) WHERE plane_id = ?",
                &[(*seq).into(), plane.into()],
            )?;
            Ok(Answer::Done)
        }
    }
}

fn rows(db: &Db, plane: PlaneId, batch: &ImportBatch) -> Result<ImportCounts> {
    let mut counts = ImportCounts::default();
    let mut ledgers = Vec::new();
    // Whose memory is new.
    let mut fresh: HashSet<String> = HashSet::new();
    for (run, segments) in &batch.ledgers {
        if !is_stored(db, plane, *run)? {
            clear_leftovers(db, plane, *run, segments)?;
            ledger_values(&mut ledgers, plane, *run, segments);
        }
    }
    let (mut runs, mut seen) = (Vec::new(), HashSet::new());
    for run in &batch.runs {
        let id = run.head.run_id;
        if !seen.insert(id) || is_stored(db, plane, id)? {
            continue;
        }
        clear_leftovers(db, plane, id, &run.segments)?;
        ledger_values(&mut ledgers, plane, id, &run.segments);
        runs.push(run_values(RunKey { run: id, plane }, run, 0).into());
        fresh.insert(id.to_string());
        counts.runs += 1;
    }
    insert(db, Statement::Ledger.sql(), ledgers)?;
    insert(db, Statement::Run.sql(), runs)?;
    let commands = batch.commands.iter().map(|(command, at)| {
        vec![
            plane.into(),
            (&command.command_id).into(),
            command.seq.into(),
            (&command.run_id).into(),
            (&command.kind).into(),
            (&command.payload).into(),
            Value::opt(command.client_id.as_ref()),
            (&command.ts).into(),
            (*at).into(),
            Value::opt(command.outcome.as_ref()),
        ]
    });
    counts.commands = insert(db, COMMAND, commands.collect())?;
    let artifacts = batch
        .artifacts
        .iter()
        .map(|row| artifact_values(plane, row).into());
    counts.artifacts = insert(db, ARTIFACT, artifacts.collect())?;
    for owner in &batch.owners {
        let new = insert(
            db,
            Statement::Owner.sql(),
            vec![owner_values(plane, owner).into()],
        )?;
        counts.owners += new;
        fresh.extend((new > 0).then(|| owner.owner_id.clone()));
    }
    let mut spans = Vec::new();
    for entry in &batch.spans {
        if fresh.contains(&entry.owner_id) || !holds_span(db, plane, entry)? {
            spans.push(span_values(plane, entry).into());
        }
    }
    counts.spans = insert(db, Statement::Span.sql(), spans)?;
    for row in &batch.statements {
        if !holds_statement(db, plane, row)? {
            let values = assertion_values(plane, row).into();
            counts.statements += insert(db, Statement::Assertion.sql(), vec![values])?;
        }
    }
    let documents = batch.documents.iter().map(|(kind, document)| {
        vec![
            plane.into(),
            kind.as_str().into(),
            (&document.id).into(),
            (&document.body).into(),
            document.updated_at.into(),
        ]
    });
    counts.documents = insert(db, DOCUMENT, documents.collect())?;
    if counts.documents > 0 {
        db.execute(
            "UPDATE planes SET generation = generation + 1 WHERE plane_id = ?",
            &[plane.into()],
        )?;
    }
    Ok(counts)
}

/// A ledger that begins again belongs to a run that an interrupted import did not finish.
fn clear_leftovers(db: &Db, plane: PlaneId, run: RunId, segments: &[Segment]) -> Result<()> {
    if segments.first().is_none_or(|segment| segment.first_seq != 1) {
        return Ok(());
    }
    db.execute(
        "DELETE FROM ledger WHERE run_id = ? AND plane_id = ?",
        &[run.into(), plane.into()],
    )?;
    Ok(())
}

fn ledger_values(rows: &mut Vec<Vec<Value>>, plane: PlaneId, run: RunId, segments: &[Segment]) {
    rows.extend(segments.iter().map(|segment| {
        vec![
            run.into(),
            plane.into(),
            segment.last_seq.into(),
            segment.first_seq.into(),
            (&segment.lines).into(),
        ]
    }));
}

fn is_stored(db: &Db, plane: PlaneId, run: RunId) -> Result<bool> {
    let select = "SELECT 1 FROM runs WHERE run_id = ? AND plane_id = ?";
    let found = db.first(select, &[run.into(), plane.into()], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Whether the owner knew this span before.
fn holds_span(db: &Db, plane: PlaneId, entry: &SpanEntry) -> Result<bool> {
    let select = "SELECT 1 FROM memory_spans WHERE plane_id = ? AND span_id = ? AND owner_id = ? LIMIT 1";
    let values = [plane.into(), (&entry.span_id).into(), (&entry.owner_id).into()];
    Ok(db.first(select, &values, |_| Ok(()))?.is_some())
}

fn holds_statement(db: &Db, plane: PlaneId, row: &Assertion) -> Result<bool> {
    // The subject leads an index, ids have none.
    let select = "SELECT 1 FROM kg_assertions WHERE plane_id = ? AND owner_id = ? AND subject = ? \
         AND assertion_id = ? LIMIT 1";
    let values = [
        plane.into(),
        (&row.owner_id).into(),
        Value::Owned(column_text(&row.subject)),
        (&row.assertion_id).into(),
    ];
    Ok(db.first(select, &values, |_| Ok(()))?.is_some())
}

/// How many rows went in.
fn insert(db: &Db, sql: &str, rows: Vec<Vec<Value>>) -> Result<u64> {
    let mut inserted = 0;
    for row in rows {
        inserted += db.execute(sql, &row)? as u64;
    }
    Ok(inserted)
}

fn make_heads(db: &Db, plane: PlaneId, heads: &[(RunId, Arc<str>)]) -> Result<u64> {
    let mut made = 0;
    for (run, pool) in heads {
        // Only a run that nobody has committed can lack a head while it lives.
        made += db.execute(
            "INSERT INTO run_heads (run_id, plane_id, pool) SELECT run_id, plane_id, ? FROM runs \
             WHERE run_id = ? AND plane_id = ? AND status IN ('running', 'waiting') ON CONFLICT DO NOTHING",
            &[pool.into(), (*run).into(), plane.into()],
        )? as u64;
        // No runner has had it yet: what the opening of the store counted as its crash was the end of an import.
        db.execute(
            "UPDATE run_heads SET crashes = 0 WHERE run_id = ?1 AND plane_id = ?2 AND crashes > 0 \
             AND EXISTS (SELECT 1 FROM runs WHERE run_id = ?1 AND plane_id = ?2 AND rev = 0)",
            &[(*run).into(), plane.into()],
        )?;
    }
    Ok(made)
}

/// True if the head changed.
fn set_off(db: &Db, plane: PlaneId, wake: &ImportWake, now: Timestamp) -> Result<bool> {
    let key = || [Value::from(wake.run), Value::from(plane)];
    let stored = db.first(
        "SELECT h.mail_in, h.ready_at, h.wake_at FROM runs r CROSS JOIN run_heads h ON h.run_id = r.run_id \
         AND h.plane_id = r.plane_id WHERE r.run_id = ? AND r.plane_id = ? AND r.rev = 0",
        &key(),
        |row| Ok((row.int()?, row.opt_time()?, row.opt_time()?)),
    )?;
    let Some((stored_mail, ready_at, wake_at)) = stored else {
        return Ok(false);
    };
    let mut mail_in = stored_mail;
    for (kind, body) in &wake.mail {
        let [run, plane] = key();
        let values = [
            run,
            plane,
            (mail_in + 1).into(),
            kind.as_str().into(),
            body.into(),
        ];
        mail_in += db.execute(
            "INSERT INTO mail (run_id, plane_id, n, kind, body) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS \
             (SELECT 1 FROM mail WHERE run_id = ?1 AND plane_id = ?2 AND kind = ?4)",
            &values,
        )? as i64;
    }
    let ready = wake.ready || mail_in > stored_mail;
    let new_ready = ready_at.or(ready.then_some(now));
    let new_wake = wake_at.or(wake.wake_at);
    if (mail_in, new_ready, new_wake) == (stored_mail, ready_at, wake_at) {
        return Ok(false);
    }
    let [run, plane] = key();
    db.execute(
        "UPDATE run_heads SET mail_in = ?, ready_at = ?, wake_at = ? WHERE run_id = ? AND plane_id = ?",
        &[
            mail_in.into(),
            Value::opt(new_ready),
            Value::opt(new_wake),
            run,
            plane,
        ],
    )?;
    Ok(true)
}
