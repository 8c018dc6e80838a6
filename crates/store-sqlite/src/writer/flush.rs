//! Writes a plan in one transaction.

use std::sync::Arc;

use ag_store::Result;
use sqlx::sqlite::SqliteArguments;

use super::{Writer, state::State, statements::Statement};
use crate::{
    error::store_error,
    sql::{Value, args, text},
};

/// Statements that travel to the driver's thread together with `BEGIN` and `COMMIT`: a lone write costs one visit.
/// More than that and the combinations of sizes would fill the statement cache.
const FUSED: usize = 6;

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

struct Piece {
    sql: Arc<str>,
    rows: Vec<Vec<Value>>,
}

impl Writer {
    /// See the module. Nothing is written when there is nothing to write.
    pub(super) async fn flush(&mut self, state: &State, mut writes: Writes) -> Result<()> {
        add_heads(state, &mut writes);
        self.add_planes(state, &mut writes);
        let pieces = split(writes);
        if pieces.is_empty() {
            return Ok(());
        }
        let written = if pieces.len() <= FUSED && pieces.iter().all(|piece| piece.rows.len() == 1) {
            self.write_fused(pieces).await
        } else {
            self.write_pieces(pieces).await
        };
        if written.is_err() {
            // Fails harmlessly when SQLite has rolled back by itself.
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut self.conn).await;
        }
        written
    }

    async fn write_fused(&mut self, pieces: Vec<Piece>) -> Result<()> {
        let mut script = String::from("BEGIN IMMEDIATE;");
        let mut values = Vec::new();
        for piece in pieces {
            script.push_str(&piece.sql);
            script.push(';');
            values.extend(piece.rows.into_iter().flatten());
        }
        script.push_str("COMMIT");
        let args = args(values)?;
        self.execute(&Arc::from(script), args).await
    }

    async fn write_pieces(&mut self, pieces: Vec<Piece>) -> Result<()> {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut self.conn)
            .await
            .map_err(store_error)?;
        for piece in pieces {
            let args = args(piece.rows.into_iter().flatten())?;
            self.execute(&piece.sql, args).await?;
        }
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.conn)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn execute(&mut self, sql: &Arc<str>, args: SqliteArguments) -> Result<()> {
        sqlx::query_with(text(sql), args)
            .execute(&mut self.conn)
            .await
            .map_err(store_error)?;
        Ok(())
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

fn split(writes: Writes) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (statement, mut rows) in Statement::ALL.into_iter().zip(writes.rows) {
        let sql = statement.sql();
        while !rows.is_empty() {
            let (text, size) = sql.largest(rows.len());
            let rest = rows.split_off(size);
            pieces.push(Piece {
                sql: Arc::clone(text),
                rows: std::mem::replace(&mut rows, rest),
            });
        }
    }
    pieces
}
