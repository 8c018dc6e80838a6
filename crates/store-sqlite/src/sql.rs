//! Statements over many rows, in few texts, so that each is prepared once.

use std::sync::Arc;

use sqlx::{Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr, sqlite::SqliteArguments};

use crate::error::store_error;

/// Rows per statement. A group of rows is split greedily: 45 rows are 32 + 8 + 4 + 1.
pub(crate) const SIZES: [usize; 5] = [32, 8, 4, 2, 1];

/// One text per size.
pub(crate) struct RowsSql {
    texts: [Arc<str>; SIZES.len()],
}

impl RowsSql {
    /// `head (row), (row), … tail`: a multi-row `VALUES` list of `columns` parameters each.
    pub(crate) fn values(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self {
            texts: SIZES.map(|size| format!("{head} {} {tail}", vec![row.as_str(); size].join(",")).into()),
        }
    }

    /// The statement itself, once per row: the driver runs such a list in one visit to its thread.
    pub(crate) fn repeated(statement: &str) -> Self {
        Self {
            texts: SIZES.map(|size| vec![statement; size].join(";").into()),
        }
    }

    /// The text for the largest size not above `rows`, and that size.
    pub(crate) fn largest(&self, rows: usize) -> (&Arc<str>, usize) {
        let index = SIZES
            .iter()
            .position(|size| *size <= rows)
            .unwrap_or(SIZES.len() - 1);
        (&self.texts[index], SIZES[index])
    }
}

/// The texts come from this crate's constants only; values are always parameters.
pub(crate) fn text(sql: &Arc<str>) -> SqlStr {
    AssertSqlSafe(Arc::clone(sql)).into_sql_str()
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(Arc<str>),
    Owned(String),
    Blob(Vec<u8>),
}

impl Value {
    pub(crate) fn opt<T: Into<Value>>(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }

    /// Adds itself to a parameter list.
    pub(crate) fn bind(self, args: &mut SqliteArguments) -> ag_store::Result<()> {
        match self {
            Self::Null => args.add(None::<i64>),
            Self::Int(value) => args.add(value),
            Self::Text(value) => args.add(value),
            Self::Owned(value) => args.add(value),
            Self::Blob(value) => args.add(value),
        }
        .map_err(|error| store_error(sqlx::Error::Encode(error)))
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
        Self::Blob(value.0.as_bytes().to_vec())
    }
}
impl From<&Arc<str>> for Value {
    fn from(value: &Arc<str>) -> Self {
        Self::Text(Arc::clone(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Owned(value.to_owned())
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

/// Binds a list of parameters.
pub(crate) fn args(values: impl IntoIterator<Item = Value>) -> ag_store::Result<SqliteArguments> {
    let mut args = SqliteArguments::default();
    for value in values {
        value.bind(&mut args)?;
    }
    Ok(args)
}
