//! Decides what a transaction writes. Pure: operations are applied in the order of the queue to the loaded facts, so
//! a later one sees what an earlier one has done.

mod commit;
mod post;
mod start;
mod sweep;

use std::sync::Arc;

use ag_store::{
    ArtifactRow, Assertion, Commit, MailKind, MemoryRow, NewRun, OwnerRow, Placement, Result, Segment,
    SpanEntry,
    leases::Lease,
    memory::{column_text, vector_bytes},
};
use ag_types::{PlaneId, RunKey, SessionId, Timestamp};

use super::{
    Answer, Op,
    flush::Writes,
    state::{Entry, Head, RunFacts, State},
    statements::Statement,
};
use crate::db::Value;

/// A decided transaction.
#[derive(Default)]
pub(super) struct Plan {
    pub writes: Writes,
    pub answers: Vec<Result<Answer>>,
    /// Owned runs that got a cancel.
    pub preempts: Vec<RunKey>,
}

/// See the module.
pub(super) fn plan(state: &mut State, ops: &[&Op]) -> Plan {
    let mut plan = Plan::default();
    for op in ops {
        let answer = match op {
            Op::Start { plane, start } => Answer::Started(plan.start(state, *plane, start)),
            Op::Commit(commit) => Answer::Committed(plan.commit(state, commit)),
            Op::Release { session, key, epoch } => Answer::Changed(give_back(state, *session, *key, *epoch)),
            Op::NoteDriven { session, runs } => {
                note_driven(state, *session, runs);
                Answer::Done
            }
            Op::Post { plane, command } => Answer::Posted(plan.post(state, *plane, command)),
            Op::Sweep(sweep) => Answer::Woken(plan.sweep(state, *sweep)),
            Op::TakeOver(runs) => Answer::Woken(sweep::take_over(state, runs)),
            Op::CloseSession { session, clean } => Answer::Woken(plan.close_session(state, *session, *clean)),
            // Direct operations never share a plan.
            _ => Answer::Done,
        };
        plan.answers.push(Ok(answer));
    }
    plan
}

/// Ends an ownership without a word about the run.
fn give_back(state: &mut State, session: SessionId, key: RunKey, epoch: i64) -> bool {
    let now = state.now;
    let held = |lease: Lease| lease.session == session && lease.epoch == epoch;
    match state.entries.get_mut(&key) {
        Some(entry) if entry.lease.is_some_and(held) => {
            entry.release(now, false);
            true
        }
        _ => false,
    }
}

/// Says of held runs that their drives begin.
fn note_driven(state: &mut State, session: SessionId, runs: &[(RunKey, i64)]) {
    for (key, epoch) in runs {
        let held = |lease: Lease| lease.session == session && lease.epoch == *epoch;
        if let Some(entry) = state.entries.get_mut(key)
            && entry.lease.is_some_and(held)
            && let Some(head) = &mut entry.head
        {
            head.driven_epoch = Some(*epoch);
            entry.changed = true;
        }
    }
}

/// A letter on its way.
pub(super) struct Letter<'a> {
    pub kind: MailKind,
    pub body: &'a Arc<str>,
    pub command_id: Option<Value>,
}

impl Plan {
    /// Numbers mail from the head and makes the head ready. `false`: the run has ended, nothing is written.
    fn deliver(&mut self, state: &mut State, key: RunKey, letter: Letter<'_>) -> bool {
        let now = state.now;
        let Some(entry) = state.entries.get_mut(&key) else {
            return false;
        };
        let Some(head) = &mut entry.head else { return false };
        head.mail_in += 1;
        head.ready_at.get_or_insert(now);
        entry.changed = true;
        self.writes.add(
            Statement::Mail,
            [
                key.run.into(),
                key.plane.into(),
                head.mail_in.into(),
                letter.kind.as_str().into(),
                letter.body.into(),
                letter.command_id.unwrap_or(Value::Null),
            ],
        );
        true
    }

    fn new_run(&mut self, state: &mut State, plane: PlaneId, run: &NewRun) {
        let key = RunKey {
            run: run.head.run_id,
            plane,
        };
        let now = state.now;
        let (ready_at, wake_at, held) = match run.placement {
            Placement::Ready => (Some(now), None, None),
            // Ready in the row: a crash of the holder leaves the run claimable.
            Placement::Held { session, epoch } => (Some(now), None, Some((session, epoch))),
            Placement::Rest { wake_at } => (None, wake_at, None),
            Placement::Terminal => (None, None, None),
        };
        let epoch = held.map_or(0, |(_, epoch)| epoch);
        self.insert_run(key, run, epoch);
        self.ledger(key, &run.segments);
        let live = run.placement != Placement::Terminal;
        let head = Head {
            pool: run.pool.clone(),
            mail_in: 0,
            ready_at,
            wake_at,
            crashes: 0,
            driven_epoch: None,
        };
        let facts = RunFacts { rev: 0, epoch };
        let lease = held.map(|(session, epoch)| Lease {
            session,
            epoch,
            preempt_at: None,
        });
        *state.entry(key) = Entry {
            run: Some(facts),
            head: live.then_some(head),
            lease,
            stored: false,
            changed: live,
            moved: held.is_some(),
        };
    }

    fn insert_run(&mut self, key: RunKey, run: &NewRun, epoch: i64) {
        self.writes.add(Statement::Run, run_values(key, run, epoch));
    }

    fn update_run(&mut self, commit: &Commit, facts: RunFacts) {
        let (key, columns) = (commit.key, &commit.columns);
        self.writes.add(
            Statement::RunUpdate,
            [
                columns.status.as_str().into(),
                facts.rev.into(),
                facts.epoch.into(),
                commit.last_seq.into(),
                columns.updated_at.into(),
                columns.paused.into(),
                columns.counters.steps.into(),
                columns.counters.llm_calls.into(),
                columns.counters.tool_calls.into(),
                columns.counters.tokens_total.into(),
                (&columns.current_node).into(),
                Value::opt(columns.wait_reason.map(|reason| reason.as_str())),
                Value::opt(columns.wait_key.as_ref()),
                Value::opt(columns.wait_until),
                Value::opt(columns.lifecycle.as_ref()),
                Value::opt(columns.error.as_ref()),
                Value::opt(columns.wait.as_ref()),
                (&columns.meta).into(),
                Value::opt(columns.output.as_ref()),
                (&columns.vars).into(),
                key.run.into(),
                key.plane.into(),
            ],
        );
    }

    fn ledger(&mut self, key: RunKey, segments: &[Segment]) {
        for segment in segments {
            self.writes.add(
                Statement::Ledger,
                [
                    key.run.into(),
                    key.plane.into(),
                    segment.last_seq.into(),
                    segment.first_seq.into(),
                    (&segment.lines).into(),
                ],
            );
        }
    }

    fn artifacts(&mut self, plane: PlaneId, rows: &[ArtifactRow]) {
        for row in rows {
            self.writes.add(Statement::Artifact, artifact_values(plane, row));
        }
    }

    fn memory(&mut self, plane: PlaneId, rows: &[MemoryRow]) {
        for row in rows {
            match row {
                MemoryRow::Span(entry) => self.writes.add(Statement::Span, span_values(plane, entry)),
                MemoryRow::Assertion(row) => {
                    self.writes
                        .add(Statement::Assertion, assertion_values(plane, row));
                }
            }
        }
    }

    fn owners(&mut self, plane: PlaneId, owners: &[OwnerRow]) {
        for owner in owners {
            self.writes.add(Statement::Owner, owner_values(plane, owner));
        }
    }
}

/// Parameters of [`Statement::Span`].
pub(super) fn span_values(plane: PlaneId, entry: &SpanEntry) -> [Value; 6] {
    [
        plane.into(),
        (&entry.owner_id).into(),
        (&entry.span_id).into(),
        entry.change.as_str().into(),
        entry.created_at.into(),
        (&entry.body).into(),
    ]
}

/// Parameters of [`Statement::Run`]; the revision is 0.
pub(super) fn run_values(key: RunKey, run: &NewRun, epoch: i64) -> [Value; 28] {
    let (head, columns) = (&run.head, &run.columns);
    [
        key.run.into(),
        key.plane.into(),
        columns.status.as_str().into(),
        0_i64.into(),
        epoch.into(),
        run.last_seq.into(),
        head.created_at.into(),
        columns.updated_at.into(),
        columns.paused.into(),
        columns.counters.steps.into(),
        columns.counters.llm_calls.into(),
        columns.counters.tool_calls.into(),
        columns.counters.tokens_total.into(),
        Value::opt(head.parent_run_id),
        (&head.workflow_id).into(),
        Value::opt(head.actor_id.as_ref()),
        Value::opt(head.session_id.as_ref()),
        Value::opt(run.bundle_sha256.as_ref()),
        (&columns.current_node).into(),
        Value::opt(columns.wait_reason.map(|reason| reason.as_str())),
        Value::opt(columns.wait_key.as_ref()),
        Value::opt(columns.wait_until),
        Value::opt(columns.lifecycle.as_ref()),
        Value::opt(columns.error.as_ref()),
        Value::opt(columns.wait.as_ref()),
        (&columns.meta).into(),
        Value::opt(columns.output.as_ref()),
        (&columns.vars).into(),
    ]
}

/// Parameters of [`Statement::Assertion`].
pub(super) fn assertion_values(plane: PlaneId, row: &Assertion) -> [Value; 13] {
    let column = |text: &str| Value::Owned(column_text(text));
    let embedding = row.embedding.as_ref();
    [
        plane.into(),
        (&row.owner_id).into(),
        (&row.scope).into(),
        (&row.assertion_id).into(),
        column(&row.subject),
        column(&row.predicate),
        column(&row.object),
        column(&row.observed_at),
        row.valid_from.as_deref().map_or(Value::Null, column),
        row.valid_until.as_deref().map_or(Value::Null, column),
        (&row.body).into(),
        Value::opt(embedding.map(|embedding| &embedding.model)),
        embedding.map_or(Value::Null, |embedding| {
            Value::Blob(vector_bytes(&embedding.vector))
        }),
    ]
}

/// Parameters of [`Statement::Artifact`].
pub(super) fn artifact_values(plane: PlaneId, row: &ArtifactRow) -> [Value; 12] {
    [
        plane.into(),
        (&row.artifact_id).into(),
        Value::opt(row.run_id.as_ref()),
        (&row.blob_id).into(),
        (&row.content_type).into(),
        row.size_bytes.into(),
        row.created_at.into(),
        (&row.semantic_kind).into(),
        (&row.render_kind).into(),
        (&row.modality).into(),
        Value::opt(row.session_id.as_ref()),
        (&row.meta).into(),
    ]
}

/// Parameters of [`Statement::Owner`].
pub(super) fn owner_values(plane: PlaneId, owner: &OwnerRow) -> [Value; 5] {
    let time = |time: Timestamp| Value::from(time);
    [
        plane.into(),
        (&owner.owner_id).into(),
        Value::opt(owner.session_id.as_ref()),
        time(owner.created_at),
        time(owner.updated_at),
    ]
}
