//! Reads what a plan needs, for all operations of a transaction at once.

use std::collections::{HashMap, HashSet};

use ag_store::{OutMail, Result, Sweep};
use ag_types::{PlaneId, RunKey};

use super::{
    Op, Writer,
    state::{Entry, Head, KeyFacts, PlaneFacts, RunFacts, State},
};
use crate::{db::Value, error::corrupt, rows::Cursor};

/// Rows that one sweep takes.
const SWEEP_ROWS: usize = 500;

const ENTRY: &str = "SELECT r.rev, r.epoch, h.pool, h.mail_in, h.ready_at, h.wake_at, h.crashes, \
     h.driven_epoch FROM runs r \
     LEFT JOIN run_heads h ON h.run_id = r.run_id AND h.plane_id = r.plane_id \
     WHERE r.run_id = ? AND r.plane_id = ?";
const START_KEY: &str =
    "SELECT body_sha256, run_id, created_at FROM start_keys WHERE plane_id = ? AND key = ?";
const COMMAND: &str = "SELECT seq FROM commands WHERE plane_id = ? AND command_id = ?";
const PLANE: &str = "SELECT generation, command_seq FROM planes WHERE plane_id = ?";
const DUE: &str = "SELECT run_id, plane_id FROM run_heads WHERE wake_at IS NOT NULL AND wake_at <= ? \
     ORDER BY wake_at LIMIT ?";

/// The reading statements, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [ENTRY, START_KEY, COMMAND, PLANE, DUE];

/// Everything the operations name.
#[derive(Default)]
struct Wanted {
    runs: HashSet<RunKey>,
    start_keys: HashSet<(PlaneId, String)>,
    commands: HashSet<(PlaneId, String)>,
    planes: HashSet<PlaneId>,
    timers: bool,
}

impl Wanted {
    fn mail(&mut self, plane: PlaneId, mail: &[OutMail]) {
        self.runs
            .extend(mail.iter().map(|mail| RunKey { run: mail.to, plane }));
    }

    fn op(&mut self, op: &Op, careful: bool) {
        match op {
            Op::Start { plane, start } => {
                self.mail(*plane, &start.mail);
                if let Some(key) = &start.key {
                    self.start_keys.insert((*plane, key.key.clone()));
                }
                if start.generation.is_some() {
                    self.planes.insert(*plane);
                }
                if careful {
                    self.runs.extend(start.runs.iter().map(|run| RunKey {
                        run: run.head.run_id,
                        plane: *plane,
                    }));
                }
            }
            Op::Commit(commit) => {
                self.runs.insert(commit.key);
                self.mail(commit.key.plane, &commit.mail);
            }
            Op::Post { plane, command } => {
                self.commands.insert((*plane, command.command_id.clone()));
                self.planes.insert(*plane);
                self.runs.extend(command.targets.iter().map(|target| RunKey {
                    run: target.run,
                    plane: *plane,
                }));
            }
            Op::Release { key, .. } => {
                self.runs.insert(*key);
            }
            Op::NoteDriven { runs, .. } => self.runs.extend(runs.iter().map(|(key, _)| *key)),
            Op::TakeOver(runs) => self.runs.extend(runs.iter().copied()),
            Op::Sweep(Sweep::Timers) => self.timers = true,
            _ => {}
        }
    }
}

impl Writer {
    /// See the module.
    pub(super) fn load(&mut self, ops: &[&Op], careful: bool) -> Result<State> {
        let now = self.shared.clock.now();
        let mut state = State {
            now,
            careful,
            entries: HashMap::new(),
            start_keys: HashMap::new(),
            commands: HashMap::new(),
            planes: HashMap::new(),
            due: Vec::new(),
            closing: HashMap::new(),
            orphans: Vec::new(),
            overdue: Vec::new(),
        };
        let mut wanted = Wanted::default();
        for op in ops {
            wanted.op(op, careful);
        }
        self.load_sessions(ops, &mut state, &mut wanted);
        if wanted.timers {
            self.load_due(&mut state)?;
            wanted.runs.extend(state.due.iter().copied());
        }
        self.load_entries(&mut state, &wanted)?;
        self.load_keys(&mut state, wanted)?;
        Ok(state)
    }

    /// Which sessions end. They are marked dead here, before the plan: a dead session claims nothing, so the list of
    /// its runs only shrinks from now on.
    fn load_sessions(&self, ops: &[&Op], state: &mut State, wanted: &mut Wanted) {
        let mut leases = self.shared.leases.lock();
        for op in ops {
            match op {
                Op::CloseSession { session, .. } => {
                    leases.mark_dead(*session);
                    let held = leases.held_by(*session);
                    wanted.runs.extend(held.iter().copied());
                    state.closing.insert(*session, held);
                }
                Op::Sweep(Sweep::Sessions) => {
                    leases.expire_sessions(state.now);
                    state.orphans = leases.orphans(SWEEP_ROWS);
                    wanted.runs.extend(state.orphans.iter().copied());
                }
                Op::Sweep(Sweep::Cancels) => {
                    state.overdue = leases.overdue(state.now, SWEEP_ROWS);
                    wanted.runs.extend(state.overdue.iter().copied());
                }
                _ => {}
            }
        }
    }

    fn load_due(&self, state: &mut State) -> Result<()> {
        let limit = i64::try_from(SWEEP_ROWS).unwrap_or(i64::MAX);
        let values = [state.now.into(), limit.into()];
        state.due = self.db.all(DUE, &values, |row| row.key())?;
        Ok(())
    }

    fn load_entries(&self, state: &mut State, wanted: &Wanted) -> Result<()> {
        for key in &wanted.runs {
            let values = [key.run.into(), key.plane.into()];
            if let Some(entry) = self.db.first(ENTRY, &values, entry)? {
                state.entries.insert(*key, entry);
            }
        }
        // Owners only appear for runs that were ready, and disappear only through this writer: what is read here
        // as owned stays owned, what is read as unowned may be taken meanwhile and then sees this transaction or
        // learns of it from the answer of its first commit.
        let leases = self.shared.leases.lock();
        for (key, entry) in &mut state.entries {
            entry.lease = leases.lease(key);
        }
        Ok(())
    }

    fn load_keys(&mut self, state: &mut State, wanted: Wanted) -> Result<()> {
        for (plane, key) in wanted.start_keys {
            let values = [plane.into(), Value::Owned(key.clone())];
            let facts = self.db.first(START_KEY, &values, |row| {
                Ok(KeyFacts {
                    body_sha256: row.bytes()?.to_vec(),
                    run: row.run_id()?,
                    created_at: row.time()?,
                })
            })?;
            if let Some(facts) = facts {
                state.start_keys.insert((plane, key), facts);
            }
        }
        for (plane, id) in wanted.commands {
            let values = [plane.into(), Value::Owned(id.clone())];
            if let Some(seq) = self.db.first(COMMAND, &values, |row| row.int())? {
                state.commands.insert((plane, id), seq);
            }
        }
        for plane in wanted.planes {
            let facts = match self.planes.get(&plane) {
                Some(facts) => *facts,
                None => self
                    .db
                    .first(PLANE, &[plane.into()], |row| {
                        Ok(PlaneFacts {
                            generation: row.int()?,
                            command_seq: row.int()?,
                        })
                    })?
                    .ok_or_else(|| corrupt("plane", plane.0))?,
            };
            self.planes.insert(plane, facts);
            state.planes.insert(plane, facts);
        }
        Ok(())
    }
}

fn entry(row: &mut Cursor<'_>) -> Result<Entry> {
    let run = RunFacts {
        rev: row.int32()?,
        epoch: row.int()?,
    };
    let head = match row.opt_shared()? {
        None => None,
        Some(pool) => Some(Head {
            pool,
            mail_in: row.int()?,
            ready_at: row.opt_time()?,
            wake_at: row.opt_time()?,
            crashes: row.int()?,
            driven_epoch: row.opt_int()?,
        }),
    };
    Ok(Entry {
        run: Some(run),
        stored: head.is_some(),
        head,
        ..Entry::default()
    })
}
