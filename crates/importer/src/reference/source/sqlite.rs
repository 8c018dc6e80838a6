//! The reference's SQLite store, opened read-only.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};

use super::{EachLine, RawCommand, Source};
use crate::ImportError;

pub(in crate::reference) struct SqliteSource {
    conn: Connection,
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.execute_batch("PRAGMA cache_size = -8192")?;
    Ok(conn)
}

/// True for the tables of the reference's database, which have other columns than ours.
fn has_tables(conn: &Connection) -> rusqlite::Result<bool> {
    let found: i64 = conn.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('command_cursors', 'ledger_heads')",
        [],
        |row| row.get(0),
    )?;
    Ok(found == 2)
}

/// See `is_database`; a file that cannot be asked is none.
pub(super) fn is_reference(path: &Path) -> bool {
    connect(path).and_then(|conn| has_tables(&conn)).unwrap_or(false)
}

impl SqliteSource {
    pub(in crate::reference) fn open(path: &Path) -> Result<Self, ImportError> {
        let conn = connect(path).map_err(ImportError::SourceDatabase)?;
        match has_tables(&conn).map_err(ImportError::SourceDatabase)? {
            true => Ok(Self { conn }),
            false => Err(ImportError::NotFound {
                path: path.to_owned(),
                expected: "tables of the Python gateway",
            }),
        }
    }

    fn number(&self, sql: &str) -> Result<i64, ImportError> {
        let found = self.conn.query_row(sql, [], |row| row.get(0));
        match found {
            Ok(found) => Ok(found),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(0),
            Err(error) => Err(ImportError::SourceDatabase(error)),
        }
    }

    fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ImportError> {
        let rows = || -> rusqlite::Result<Vec<T>> { self.conn.prepare(sql)?.query_map([], read)?.collect() };
        rows().map_err(ImportError::SourceDatabase)
    }
}

impl Source for SqliteSource {
    fn run_ids(&mut self) -> Result<Vec<String>, ImportError> {
        self.rows("SELECT run_id FROM runs ORDER BY run_id", |row| row.get(0))
    }

    fn ledger_total(&mut self) -> Result<u64, ImportError> {
        Ok(self.number("SELECT count(*) FROM ledger")?.unsigned_abs())
    }

    fn orphan_ledgers(&mut self) -> Result<u64, ImportError> {
        let count = self.number(
            "SELECT count(*) FROM (SELECT DISTINCT run_id FROM ledger EXCEPT SELECT run_id FROM runs)",
        )?;
        Ok(count.unsigned_abs())
    }

    fn run(&mut self, run_id: &str) -> Result<Option<Vec<u8>>, ImportError> {
        let find = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut statement = self
                .conn
                .prepare_cached("SELECT run_json FROM runs WHERE run_id = ?")?;
            let mut rows = statement.query([run_id])?;
            match rows.next()? {
                Some(row) => bytes(row, 0).map(|bytes| Some(bytes.to_owned())),
                None => Ok(None),
            }
        };
        find().map_err(ImportError::SourceDatabase)
    }

    fn ledger(&mut self, run_id: &str, each: &mut EachLine<'_>) -> Result<(), ImportError> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT record_json FROM ledger WHERE run_id = ? ORDER BY seq")
            .map_err(ImportError::SourceDatabase)?;
        let mut rows = statement.query([run_id]).map_err(ImportError::SourceDatabase)?;
        while let Some(row) = rows.next().map_err(ImportError::SourceDatabase)? {
            each(bytes(row, 0).map_err(ImportError::SourceDatabase)?, 1)?;
        }
        Ok(())
    }

    fn commands(&mut self) -> Result<(Vec<RawCommand>, u64), ImportError> {
        let sql =
            "SELECT seq, command_id, run_id, type, payload_json, ts, client_id FROM commands ORDER BY seq";
        let commands = self.rows(sql, |row| {
            Ok(RawCommand {
                seq: row.get(0)?,
                command_id: row.get(1)?,
                run_id: row.get(2)?,
                kind: row.get(3)?,
                payload: row.get(4)?,
                ts: row.get(5)?,
                client_id: row.get::<_, Option<String>>(6)?.filter(|id| !id.is_empty()),
            })
        })?;
        Ok((commands, 0))
    }

    fn cursor(&mut self) -> Result<i64, ImportError> {
        self.number("SELECT cursor FROM command_cursors WHERE consumer_id = 'gateway_runner'")
    }

    fn unit(&self) -> &'static str {
        "records"
    }
}

/// A text as its bytes: Python may have written what is no UTF-8.
fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        _ => b"",
    })
}
