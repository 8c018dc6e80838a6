//! A connection of SQLite, used by one thread at a time.
//!
//! Calls run on the caller's thread. A statement on warm pages takes some microseconds, less than handing it to
//! another thread and waiting for the answer; see ADR 0009.

use std::{path::Path, sync::Arc, time::Duration};

use ag_store::Result;
use rusqlite::{
    Connection, OpenFlags, Statement, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{error::store_error, rows::Cursor};

/// Prepared statements that a connection keeps: more than this crate has texts.
const STATEMENTS: usize = 128;

/// Nobody competes with the writer for long: this bounds how long a forced checkpoint waits for slow readers.
const BUSY: Duration = Duration::from_millis(500);

/// How a connection is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Makes the file if there is none.
    Create,
    Write,
    Read,
}

/// See the module.
pub(crate) struct Db {
    conn: Connection,
}

impl Db {
    /// # Errors
    /// When the file cannot be opened or a setting is refused.
    pub(crate) fn open(file: &Path, access: Access, settings: &str) -> Result<Self> {
        // Without SQLite's own mutexes: a connection never leaves the thread that holds it.
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
            | match access {
                Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
                Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
                Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            };
        let conn = Connection::open_with_flags(file, flags).map_err(store_error)?;
        Self::prepared(conn, settings)
    }

    /// A database that lives as long as its connection.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self> {
        Self::prepared(Connection::open_in_memory().map_err(store_error)?, "")
    }

    fn prepared(conn: Connection, settings: &str) -> Result<Self> {
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        conn.busy_timeout(BUSY).map_err(store_error)?;
        conn.execute_batch(settings).map_err(store_error)?;
        Ok(Self { conn })
    }

    /// Runs statements without parameters, unprepared.
    pub(crate) fn batch(&self, script: &str) -> Result<()> {
        self.conn.execute_batch(script).map_err(store_error)
    }

    /// Runs one statement; how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        let mut statement = self.conn.prepare_cached(sql).map_err(store_error)?;
        bind(&mut statement, values)?;
        statement.raw_execute().map_err(store_error)
    }

    /// All rows.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        values: &[Value],
        mut decode: impl FnMut(&mut Cursor<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql).map_err(store_error)?;
        let mut rows = Vec::new();
        each(&mut statement, values, |cursor| {
            rows.push(decode(cursor)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value],
        decode: impl FnOnce(&mut Cursor<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.conn.prepare_cached(sql).map_err(store_error)?;
        bind(&mut statement, values)?;
        let mut rows = statement.raw_query();
        match rows.next().map_err(store_error)? {
            Some(row) => decode(&mut Cursor::new(row)).map(Some),
            None => Ok(None),
        }
    }

    /// Reads of one moment.
    pub(crate) fn snapshot<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.execute("BEGIN", &[])?;
        let done = work(self);
        self.execute("COMMIT", &[])?;
        done
    }

    /// All rows of a statement whose text is not worth keeping.
    pub(crate) fn query<T>(
        &self,
        query: &Query,
        mut decode: impl FnMut(&mut Cursor<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare(&query.text).map_err(store_error)?;
        let mut rows = Vec::new();
        each(&mut statement, &query.values, |cursor| {
            rows.push(decode(cursor)?);
            Ok(())
        })?;
        Ok(rows)
    }
}

fn each(
    statement: &mut Statement<'_>,
    values: &[Value],
    mut row: impl FnMut(&mut Cursor<'_>) -> Result<()>,
) -> Result<()> {
    bind(statement, values)?;
    let mut rows = statement.raw_query();
    while let Some(found) = rows.next().map_err(store_error)? {
        row(&mut Cursor::new(found))?;
    }
    Ok(())
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<()> {
    for (index, value) in values.iter().enumerate() {
        statement
            .raw_bind_parameter(index + 1, value)
            .map_err(store_error)?;
    }
    Ok(())
}

/// A statement put together from constants of this crate and parameters.
#[derive(Debug, Default)]
pub(crate) struct Query {
    text: String,
    values: Vec<Value>,
}

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.text.push('?');
        self.values.push(value.into());
        self
    }

    /// `?, ?, …`, without brackets.
    pub(crate) fn list<T: Into<Value>>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self {
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.bind(value);
        }
        self
    }
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Id([u8; 16]),
    Static(&'static str),
    Text(Arc<str>),
    Owned(String),
    Blob(Vec<u8>),
}

impl Value {
    /// A copy of a text that lives shorter than the statement.
    pub(crate) fn text(value: &str) -> Self {
        Self::Owned(value.to_owned())
    }

    pub(crate) fn opt<T: Into<Value>>(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Id(value) => ValueRef::Blob(value),
            Self::Static(value) => ValueRef::Text(value.as_bytes()),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Owned(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}
impl From<i16> for Value {
    fn from(value: i16) -> Self {
        Self::Int(value.into())
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}
impl From<ag_types::Timestamp> for Value {
    fn from(value: ag_types::Timestamp) -> Self {
        Self::Int(value.as_micros())
    }
}
impl From<ag_types::PlaneId> for Value {
    fn from(value: ag_types::PlaneId) -> Self {
        Self::Int(value.0.into())
    }
}
impl From<ag_types::RunId> for Value {
    fn from(value: ag_types::RunId) -> Self {
        Self::Id(*value.0.as_bytes())
    }
}
impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Self {
        Self::Text(value)
    }
}
impl From<&Arc<str>> for Value {
    fn from(value: &Arc<str>) -> Self {
        Self::Text(Arc::clone(value))
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Owned(value)
    }
}
impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Static(value)
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Owned(value.clone())
    }
}
impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}
