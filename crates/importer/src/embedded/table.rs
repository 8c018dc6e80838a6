//! A table that both databases have.

use std::collections::HashMap;

use rusqlite::{Connection, Row, types::ValueRef};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgArguments, query::Query};
use uuid::Uuid;

use crate::{ImportError, Progress};

/// Bytes and rows in one statement.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
const BATCH_ROWS: usize = 2_000;

/// A column and the type that Postgres gives it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uuid,
    Time,
    Flag,
    /// `int2`, `int4`, `int8`.
    Number(&'static str),
    Double(&'static str),
    Text,
    Bytes,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "uuid" => Self::Uuid,
            "timestamptz" => Self::Time,
            "bool" => Self::Flag,
            "int2" => Self::Number("int2"),
            "int4" => Self::Number("int4"),
            "int8" => Self::Number("int8"),
            "float4" => Self::Double("float4"),
            "float8" => Self::Double("float8"),
            "text" | "varchar" => Self::Text,
            "bytea" => Self::Bytes,
            _ => return None,
        })
    }

    /// Type of the array parameter.
    const fn array(self) -> &'static str {
        match self {
            Self::Uuid => "uuid[]",
            Self::Time | Self::Number(_) => "bigint[]",
            Self::Flag => "bool[]",
            Self::Double(_) => "float8[]",
            Self::Text => "text[]",
            Self::Bytes => "bytea[]",
        }
    }

    /// The column's value from the array's element `z.cN`.
    fn expression(self, n: usize) -> String {
        match self {
            // Exact: doubles hold every microsecond of the next two centuries.
            Self::Time => format!("timestamptz 'epoch' + z.c{n} * interval '1 microsecond'"),
            Self::Number(name) | Self::Double(name) => format!("z.c{n}::{name}"),
            Self::Uuid | Self::Flag | Self::Text | Self::Bytes => format!("z.c{n}"),
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Numbered by the database in the order of insertion: the target counts for itself, and a row is known by its
    /// content.
    log: bool,
}

/// Tables of the source, each with all its columns in the target.
///
/// # Errors
/// A table or column that the target lacks, or whose type is not known here.
pub(super) async fn common(
    source: &Connection,
    target: &mut PgConnection,
    left_out: &[&str],
) -> Result<Vec<Table>, ImportError> {
    let kinds = sqlx::query(
        "SELECT table_name::text, column_name::text, udt_name::text FROM information_schema.columns \
         WHERE table_schema = current_schema()",
    )
    .persistent(false)
    .fetch_all(target)
    .await
    .map_err(ImportError::TargetDatabase)?;
    let mut known: HashMap<(String, String), String> = HashMap::new();
    for row in kinds {
        let text = |n: usize| row.try_get::<String, _>(n).map_err(ImportError::TargetDatabase);
        known.insert((text(0)?, text(1)?), text(2)?);
    }
    let mut tables = Vec::new();
    let names =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    for name in texts(source, names, &[])? {
        // Planes are mapped by name, not copied.
        if name == "planes" || left_out.contains(&name.as_str()) {
            continue;
        }
        let sql = texts(source, "SELECT sql FROM sqlite_master WHERE name = ?", &[&name])?;
        let log = sql.iter().any(|sql| sql.contains("AUTOINCREMENT"));
        let all = "SELECT name FROM pragma_table_info(?) ORDER BY cid";
        let own = "SELECT name FROM pragma_table_info(?) WHERE pk = 0 ORDER BY cid";
        let mut columns = Vec::new();
        for column in texts(source, if log { own } else { all }, &[&name])? {
            let kind = known
                .get(&(name.clone(), column.clone()))
                .and_then(|udt| Kind::of(udt));
            let kind = kind.ok_or_else(|| {
                let text = format!("no place for column {column} of table {name}");
                ImportError::TargetDatabase(sqlx::Error::Configuration(text.into()))
            })?;
            columns.push(Column { name: column, kind });
        }
        tables.push(Table { name, columns, log });
    }
    Ok(tables)
}

fn texts(source: &Connection, sql: &str, values: &[&str]) -> Result<Vec<String>, ImportError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = source.prepare(sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        rows.collect()
    };
    read().map_err(ImportError::SourceDatabase)
}

/// One array per column.
enum Values {
    Uuid(Vec<Option<Uuid>>),
    Long(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
    Double(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// Rows on their way.
pub(super) struct Batch {
    values: Vec<Values>,
    pub(super) rows: usize,
    bytes: usize,
}

impl Batch {
    pub(super) fn new(columns: &[Column]) -> Self {
        let values = columns.iter().map(|column| match column.kind {
            Kind::Uuid => Values::Uuid(Vec::new()),
            Kind::Time | Kind::Number(_) => Values::Long(Vec::new()),
            Kind::Flag => Values::Flag(Vec::new()),
            Kind::Double(_) => Values::Double(Vec::new()),
            Kind::Text => Values::Text(Vec::new()),
            Kind::Bytes => Values::Bytes(Vec::new()),
        });
        Self {
            values: values.collect(),
            rows: 0,
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Takes a row whose first columns are those of the batch; planes get their new numbers.
    pub(super) fn push(
        &mut self,
        row: &Row<'_>,
        columns: &[Column],
        planes: &HashMap<i64, i64>,
    ) -> rusqlite::Result<()> {
        for (n, (column, values)) in columns.iter().zip(&mut self.values).enumerate() {
            match values {
                Values::Uuid(list) => {
                    let bytes: Option<[u8; 16]> = row.get(n)?;
                    list.push(bytes.map(Uuid::from_bytes));
                }
                Values::Long(list) => {
                    let value: Option<i64> = row.get(n)?;
                    list.push(match column.name == "plane_id" {
                        true => value.map(|plane| planes.get(&plane).copied().unwrap_or(plane)),
                        false => value,
                    });
                }
                Values::Flag(list) => list.push(row.get::<_, Option<i64>>(n)?.map(|flag| flag != 0)),
                Values::Double(list) => list.push(match row.get_ref(n)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(value) => Some(value as f64),
                    _ => row.get(n)?,
                }),
                Values::Text(list) => {
                    let text: Option<String> = row.get(n)?;
                    self.bytes += text.as_ref().map_or(0, String::len);
                    // Postgres has no place for it in a text.
                    list.push(text.map(|text| match text.contains('\0') {
                        true => text.replace('\0', "\u{fffd}"),
                        false => text,
                    }));
                }
                Values::Bytes(list) => {
                    let bytes: Option<Vec<u8>> = row.get(n)?;
                    self.bytes += bytes.as_ref().map_or(0, Vec::len);
                    list.push(bytes);
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Binds the columns in their order and ends the batch.
    pub(super) fn bind<'q>(
        self,
        mut query: Query<'q, sqlx::Postgres, PgArguments>,
    ) -> Query<'q, sqlx::Postgres, PgArguments> {
        for values in self.values {
            query = match values {
                Values::Uuid(list) => query.bind(list),
                Values::Long(list) => query.bind(list),
                Values::Flag(list) => query.bind(list),
                Values::Double(list) => query.bind(list),
                Values::Text(list) => query.bind(list),
                Values::Bytes(list) => query.bind(list),
            };
        }
        query
    }
}

impl Table {
    pub(super) fn has_plane(&self) -> bool {
        self.columns.iter().any(|column| column.name == "plane_id")
    }

    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    /// `unnest($1::…, …) WITH ORDINALITY z(c0, …, o)`.
    pub(super) fn unnest(&self) -> String {
        let columns = self.columns.iter().enumerate();
        let arrays: Vec<String> = columns
            .map(|(n, column)| format!("${}::{}", n + 1, column.kind.array()))
            .collect();
        let names: Vec<String> = (0..self.columns.len()).map(|n| format!("c{n}")).collect();
        format!(
            "unnest({}) WITH ORDINALITY z({}, o)",
            arrays.join(", "),
            names.join(", ")
        )
    }

    /// The values of [`Table::unnest`] in the columns' types.
    pub(super) fn expressions(&self) -> Vec<String> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(n, column)| column.kind.expression(n)).collect()
    }

    fn insert(&self) -> String {
        let (name, expressions) = (&self.name, self.expressions());
        let head = format!(
            "INSERT INTO {name} ({}) SELECT {} FROM {}",
            self.names(),
            expressions.join(", "),
            self.unnest()
        );
        if self.log {
            let same = self.columns.iter().zip(&expressions);
            let same: Vec<String> = same
                .map(|(column, value)| match column.name.as_str() {
                    // These lead an index.
                    leading @ ("plane_id" | "owner_id") => format!("t.{leading} = {value}"),
                    other => format!("t.{other} IS NOT DISTINCT FROM {value}"),
                })
                .collect();
            let same = same.join(" AND ");
            return format!("{head} WHERE NOT EXISTS (SELECT FROM {name} t WHERE {same}) ORDER BY z.o");
        }
        if name != "runs" {
            return format!("{head} ON CONFLICT DO NOTHING");
        }
        // The source may have gone on since a copy was killed; a run that has a head, or a later revision, is past that.
        let set: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{0} = excluded.{0}", column.name))
            .collect();
        format!(
            "{head} ON CONFLICT (run_id, plane_id) DO UPDATE SET {} WHERE runs.rev < excluded.rev AND NOT EXISTS \
             (SELECT FROM run_heads h WHERE h.run_id = runs.run_id AND h.plane_id = runs.plane_id)",
            set.join(", ")
        )
    }

    pub(super) fn count(&self, source: &Connection) -> Result<i64, ImportError> {
        // The name comes from the source's own schema, which was compared with the target's.
        let sql = format!("SELECT count(*) FROM {}", self.name);
        source
            .query_row(&sql, [], |row| row.get(0))
            .map_err(ImportError::SourceDatabase)
    }

    /// Copies all rows; how many were new.
    pub(super) async fn copy(
        &self,
        source: &Connection,
        target: &mut PgConnection,
        planes: &HashMap<i64, i64>,
        progress: &dyn Progress,
    ) -> Result<u64, ImportError> {
        let total = self.count(source)?;
        progress.begin(&self.name, total.unsigned_abs(), "rows");
        let statement = self.insert();
        let order = if self.log { " ORDER BY rowid" } else { "" };
        // Names come from the schema, values are parameters.
        let select = format!("SELECT {} FROM {}{order}", self.names(), self.name);
        let mut select = source.prepare(&select).map_err(ImportError::SourceDatabase)?;
        let mut rows = select.query([]).map_err(ImportError::SourceDatabase)?;
        let (mut copied, mut done) = (0, 0u64);
        loop {
            let mut batch = Batch::new(&self.columns);
            while !batch.is_full()
                && let Some(row) = rows.next().map_err(ImportError::SourceDatabase)?
            {
                batch
                    .push(row, &self.columns, planes)
                    .map_err(ImportError::SourceDatabase)?;
            }
            if batch.rows == 0 {
                progress.end();
                return Ok(copied);
            }
            done += batch.rows as u64;
            let mut tx = super::begin(target).await?;
            let query = batch.bind(sqlx::query(AssertSqlSafe(statement.clone())));
            let written = query.persistent(false).execute(&mut *tx).await;
            copied += written.map_err(ImportError::TargetDatabase)?.rows_affected();
            tx.commit().await.map_err(ImportError::TargetDatabase)?;
            progress.advance(done);
        }
    }
}
