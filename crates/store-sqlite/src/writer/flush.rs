//! Writes a plan in one transaction.

use ag_store::Result;

use super::{Writer, state::State, statements::Statement};
use crate::db::{Db, Value};

/// Rows to write, by statement.
pub(super) struct Writes {
    rows: [Vec<Vec<Value>>; Statement::ALL.len()],
}

impl Default for Writes {
    fn default() -> Self {
        Self {
            rows: std::array::from_fn(|_| Vec::new()),
        }
    }
}

impl Writes {
    pub(super) fn add<const N: usize>(&mut self, statement: Statement, row: [Value; N]) {
        self.rows[statement as usize].push(row.into());
    }
}

impl Writer {
    /// See the module. Nothing is written when there is nothing to write.
    pub(super) fn flush(&self, state: &State, mut writes: Writes) -> Result<()> {
        add_heads(state, &mut writes);
        self.add_planes(state, &mut writes);
        if writes.rows.iter().all(Vec::is_empty) {
            return Ok(());
        }
        transaction(&self.db, |db| {
            for (statement, rows) in Statement::ALL.into_iter().zip(&writes.rows) {
                for row in rows {
                    db.execute(statement.sql(), row)?;
                }
            }
            Ok(())
        })
    }

    fn add_planes(&self, state: &State, writes: &mut Writes) {
        for (plane, facts) in &state.planes {
            let stored = self.planes.get(plane).map(|known| known.command_seq);
            if stored != Some(facts.command_seq) {
                writes.add(Statement::CommandSeq, [facts.command_seq.into(), (*plane).into()]);
            }
        }
    }
}

/// Heads are written once, in their final form.
fn add_heads(state: &State, writes: &mut Writes) {
    for (key, entry) in state.entries.iter().filter(|(_, entry)| entry.changed) {
        let (run, plane) = (Value::from(key.run), Value::from(key.plane));
        match (&entry.head, entry.stored) {
            (Some(head), true) => writes.add(
                Statement::HeadUpdate,
                [
                    (&head.pool).into(),
                    head.mail_in.into(),
                    Value::opt(head.ready_at),
                    Value::opt(head.wake_at),
                    head.crashes.into(),
                    Value::opt(head.driven_epoch),
                    run,
                    plane,
                ],
            ),
            (Some(head), false) => writes.add(
                Statement::Head,
                [
                    run,
                    plane,
                    (&head.pool).into(),
                    head.mail_in.into(),
                    Value::opt(head.ready_at),
                    Value::opt(head.wake_at),
                    head.crashes.into(),
                ],
            ),
            (None, true) => writes.add(Statement::HeadDelete, [run, plane]),
            (None, false) => {}
        }
    }
}

/// Runs `work` between `BEGIN` and `COMMIT`.
pub(super) fn transaction<T>(db: &Db, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
    db.execute("BEGIN IMMEDIATE", &[])?;
    let done = work(db).and_then(|value| {
        ag_failpoints::hit("store.before_commit");
        db.execute("COMMIT", &[]).map(|_| value)
    });
    ag_failpoints::hit("store.after_commit");
    if done.is_err() {
        // Fails harmlessly when SQLite has rolled back by itself.
        let _ = db.execute("ROLLBACK", &[]);
    }
    done
}
