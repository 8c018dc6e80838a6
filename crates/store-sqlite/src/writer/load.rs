//! Reads what a plan needs, for all operations of a transaction at once.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ag_store::{OutMail, Result, Sweep};
use ag_types::{PlaneId, RunKey};

use super::{
    Op, Writer,
    state::{Entry, Head, KeyFacts, PlaneFacts, RunFacts, State},
};
use crate::{
    error::{corrupt, store_error},
    keys::fetch_rows,
    rows::Cursor,
    sql::{RowsSql, Value},
};

/// Rows that one sweep takes.
const SWEEP_ROWS: usize = 500;

static ENTRIES: LazyLock<RowsSql> = LazyLock::new(|| {
    RowsSql::values(
        "SELECT r.run_id, r.plane_id, r.rev, r.epoch, h.pool, h.mail_in, h.ready_at, h.wake_at, h.crashes FROM (VALUES",
        2,
        ") k CROSS JOIN runs r ON r.run_id = k.column1 AND r.plane_id = k.column2 \
         LEFT JOIN run_heads h ON h.run_id = r.run_id AND h.plane_id = r.plane_id",
    )
});
static START_KEYS: LazyLock<RowsSql> = LazyLock::new(|| {
    RowsSql::values(
        "SELECT s.plane_id, s.key, s.body_sha256, s.run_id, s.created_at FROM (VALUES",
        2,
        ") k CROSS JOIN start_keys s ON s.plane_id = k.column1 AND s.key = k.column2",
    )
});
static COMMANDS: LazyLock<RowsSql> = LazyLock::new(|| {
    RowsSql::values(
        "SELECT c.plane_id, c.command_id, c.seq FROM (VALUES",
        2,
        ") k CROSS JOIN commands c ON c.plane_id = k.column1 AND c.command_id = k.column2",
    )
});
static PLANES: LazyLock<RowsSql> = LazyLock::new(|| {
    RowsSql::values(
        "SELECT p.plane_id, p.generation, p.command_seq FROM (VALUES",
        1,
        ") k CROSS JOIN planes p ON p.plane_id = k.column1",
    )
});
const DUE: &str = "SELECT run_id, plane_id FROM run_heads WHERE wake_at IS NOT NULL AND wake_at <= ? \
     ORDER BY wake_at LIMIT ?";

/// The reading statements, for the test of their plans.
#[cfg(test)]
pub(super) fn statements() -> [&'static RowsSql; 4] {
    [&ENTRIES, &START_KEYS, &COMMANDS, &PLANES]
}

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
            Op::Sweep(Sweep::Timers) => self.timers = true,
            _ => {}
        }
    }
}

impl Writer {
    /// See the module.
    pub(super) async fn load(&mut self, ops: &[&Op], careful: bool) -> Result<State> {
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
            self.load_due(&mut state).await?;
            wanted.runs.extend(state.due.iter().copied());
        }
        self.load_entries(&mut state, &wanted).await?;
        self.load_keys(&mut state, wanted).await?;
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

    async fn load_due(&mut self, state: &mut State) -> Result<()> {
        let limit = i64::try_from(SWEEP_ROWS).unwrap_or(i64::MAX);
        let query = sqlx::query(DUE).bind(state.now.as_micros()).bind(limit);
        for row in query.fetch_all(&mut self.conn).await.map_err(store_error)? {
            state.due.push(Cursor::new(&row).key()?);
        }
        Ok(())
    }

    async fn load_entries(&mut self, state: &mut State, wanted: &Wanted) -> Result<()> {
        let keys = wanted
            .runs
            .iter()
            .map(|key| vec![key.run.into(), key.plane.into()])
            .collect();
        let entries = &mut state.entries;
        fetch_rows(&mut self.conn, &ENTRIES, keys, |row| {
            let mut cursor = Cursor::new(row);
            let key = cursor.key()?;
            let run = RunFacts {
                rev: cursor.int32()?,
                epoch: cursor.int()?,
            };
            let head = match cursor.opt_shared()? {
                None => None,
                Some(pool) => Some(Head {
                    pool,
                    mail_in: cursor.int()?,
                    ready_at: cursor.opt_time()?,
                    wake_at: cursor.opt_time()?,
                    crashes: cursor.int()?,
                }),
            };
            let stored = head.is_some();
            entries.insert(
                key,
                Entry {
                    run: Some(run),
                    head,
                    stored,
                    ..Entry::default()
                },
            );
            Ok(())
        })
        .await?;
        // Owners only appear for runs that were ready, and disappear only through this writer: what is read here
        // as owned stays owned, what is read as unowned may be taken meanwhile and then sees this transaction or
        // learns of it from the answer of its first commit.
        let leases = self.shared.leases.lock();
        for (key, entry) in &mut state.entries {
            entry.lease = leases.lease(key);
        }
        Ok(())
    }

    async fn load_keys(&mut self, state: &mut State, wanted: Wanted) -> Result<()> {
        let pairs = |set: HashSet<(PlaneId, String)>| {
            set.into_iter()
                .map(|(plane, text)| vec![plane.into(), Value::Owned(text)])
                .collect::<Vec<_>>()
        };
        let start_keys = &mut state.start_keys;
        fetch_rows(&mut self.conn, &START_KEYS, pairs(wanted.start_keys), |row| {
            let mut cursor = Cursor::new(row);
            let key = (cursor.plane()?, cursor.string()?);
            let body_sha256 = cursor.bytes()?.to_vec();
            let facts = KeyFacts {
                body_sha256,
                run: cursor.run_id()?,
                created_at: cursor.time()?,
            };
            start_keys.insert(key, facts);
            Ok(())
        })
        .await?;
        let commands = &mut state.commands;
        fetch_rows(&mut self.conn, &COMMANDS, pairs(wanted.commands), |row| {
            let mut cursor = Cursor::new(row);
            commands.insert((cursor.plane()?, cursor.string()?), cursor.int()?);
            Ok(())
        })
        .await?;
        let unknown = wanted
            .planes
            .iter()
            .filter(|plane| !self.planes.contains_key(plane));
        let unknown = unknown.map(|plane| vec![(*plane).into()]).collect();
        let known = &mut self.planes;
        fetch_rows(&mut self.conn, &PLANES, unknown, |row| {
            let mut cursor = Cursor::new(row);
            let plane = cursor.plane()?;
            known.insert(
                plane,
                PlaneFacts {
                    generation: cursor.int()?,
                    command_seq: cursor.int()?,
                },
            );
            Ok(())
        })
        .await?;
        for plane in wanted.planes {
            let facts = self.planes.get(&plane).ok_or_else(|| corrupt("plane", plane.0))?;
            state.planes.insert(plane, *facts);
        }
        Ok(())
    }
}
