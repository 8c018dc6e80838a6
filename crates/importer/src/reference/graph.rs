//! The knowledge graph: the reference's SQLite store is read, its LanceDB store is counted.

use std::path::{Path, PathBuf};

use ag_effects::memory::kg::statement_body;
use ag_store::Assertion;
use ag_types::Object;
use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};
use serde_json::Value;

use super::{lance, report::Report};
use crate::{
    ImportError,
    json::{self, Repairs},
};

/// The stores below a plane's data folder.
const SQLITE: &str = "abstractmemory/kg.sqlite3";
const LANCE: &str = "abstractmemory/kg";

/// A graph that can be read.
pub(super) struct Graph {
    path: PathBuf,
    /// Statements.
    pub(super) total: u64,
}

impl Graph {
    /// The graph of a plane, if it has one; what is left behind is named.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn find(data: &Path, report: &mut Report) -> Result<Option<Self>, ImportError> {
        for (table, rows) in lance::tables(&data.join(LANCE))? {
            let rows = rows.map_or_else(|| "an unknown number of".to_owned(), |rows| rows.to_string());
            report.warn(format!(
                "{LANCE}: {rows} statements in the LanceDB table '{table}' are left behind: that format is not read; \
                 copy them to {SQLITE} first (see docs/migrating.md)"
            ));
        }
        let path = data.join(SQLITE);
        if !path.is_file() {
            return Ok(None);
        }
        let conn = connect(&path)?;
        let is_graph = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'triples'";
        if number(&conn, is_graph)? == 0 {
            report.warn(format!("{SQLITE} holds no statements of a knowledge graph"));
            return Ok(None);
        }
        let total = number(&conn, "SELECT count(*) FROM triples")?;
        report.count("statements", total);
        if columns(&conn)?.iter().any(|column| column == "embedding") {
            let vectors = number(&conn, "SELECT count(*) FROM triples WHERE embedding IS NOT NULL")?;
            if vectors > 0 {
                report.warn(format!(
                    "{SQLITE}: the vectors of {vectors} statements are left behind, which a search by meaning will not find"
                ));
            }
        }
        Ok(Some(Self { path, total }))
    }

    /// Reads the statements.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub(super) fn open(&self) -> Result<Reader, ImportError> {
        let conn = connect(&self.path)?;
        let known = columns(&conn)?;
        let optional = |name: &'static str| match known.iter().any(|column| column == name) {
            true => name,
            false => "NULL",
        };
        // Column names are this program's.
        let select = format!(
            "SELECT rowid, assertion_id, subject, predicate, object, scope, owner_id, observed_at, {}, {}, {}, {}, {} \
             FROM triples WHERE rowid > ? ORDER BY rowid LIMIT ?",
            optional("valid_from"),
            optional("valid_until"),
            optional("confidence"),
            optional("provenance_json"),
            optional("attributes_json"),
        );
        Ok(Reader {
            conn,
            select,
            last: i64::MIN,
            garbled: 0,
            repairs: Repairs::default(),
        })
    }
}

/// The statements in the order of their insertion.
pub(super) struct Reader {
    conn: Connection,
    select: String,
    last: i64,
    /// Statements whose provenance or attributes cannot be read; they come without.
    pub(super) garbled: u64,
    /// What became of values that JSON does not have.
    pub(super) repairs: Repairs,
}

impl Reader {
    /// The next statements, at most `limit`; none at the end.
    ///
    /// # Errors
    /// The database fails.
    pub(super) fn next(&mut self, limit: u32) -> Result<Vec<Assertion>, ImportError> {
        let mut read = || -> rusqlite::Result<Vec<Assertion>> {
            let mut statement = self.conn.prepare_cached(&self.select)?;
            let mut rows = statement.query((self.last, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                self.last = row.get(0)?;
                let (assertion, garbled) = assertion(row, &mut self.repairs)?;
                self.garbled += u64::from(garbled);
                found.push(assertion);
            }
            Ok(found)
        };
        read().map_err(ImportError::SourceDatabase)
    }
}

fn assertion(row: &Row<'_>, repairs: &mut Repairs) -> rusqlite::Result<(Assertion, bool)> {
    let confidence: Option<f64> = row.get(10)?;
    let (provenance, bad_provenance) = object(row, 11, repairs)?;
    let (attributes, bad_attributes) = object(row, 12, repairs)?;
    let assertion = Assertion {
        assertion_id: row.get(1)?,
        owner_id: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        scope: row.get(5)?,
        subject: row.get(2)?,
        predicate: row.get(3)?,
        object: row.get(4)?,
        observed_at: row.get(7)?,
        valid_from: row.get(8)?,
        valid_until: row.get(9)?,
        body: statement_body(confidence.map(Value::from), provenance, attributes).into(),
        embedding: None,
    };
    Ok((assertion, bad_provenance || bad_attributes))
}

/// A JSON object in a column; `true` if there is something else.
fn object(row: &Row<'_>, column: usize, repairs: &mut Repairs) -> rusqlite::Result<(Object, bool)> {
    let bytes = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        ValueRef::Null => return Ok((Object::new(), false)),
        _ => return Ok((Object::new(), true)),
    };
    let text = json::document(bytes, repairs).ok();
    Ok(match text.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Value::Object(object)) => (object, false),
        _ => (Object::new(), true),
    })
}

fn connect(path: &Path) -> Result<Connection, ImportError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(ImportError::SourceDatabase)
}

fn columns(conn: &Connection) -> Result<Vec<String>, ImportError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = conn.prepare("SELECT name FROM pragma_table_info('triples')")?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect()
    };
    read().map_err(ImportError::SourceDatabase)
}

fn number(conn: &Connection, sql: &str) -> Result<u64, ImportError> {
    let found: rusqlite::Result<i64> = conn.query_row(sql, [], |row| row.get(0));
    found.map(i64::unsigned_abs).map_err(ImportError::SourceDatabase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(sql: &str) -> (tempfile::TempDir, Report, Option<Graph>) {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join("abstractmemory")).expect("made");
        let conn = Connection::open(folder.path().join(SQLITE)).expect("database");
        conn.execute_batch(sql).expect("tables");
        let mut report = Report::default();
        let graph = Graph::find(folder.path(), &mut report).expect("read");
        (folder, report, graph)
    }

    #[test]
    fn statements_come_in_the_order_of_insertion() {
        let (_folder, report, graph) = graph(
            "CREATE TABLE triples (assertion_id TEXT PRIMARY KEY, subject TEXT NOT NULL, predicate TEXT NOT NULL, \
             object TEXT NOT NULL, scope TEXT NOT NULL, owner_id TEXT, observed_at TEXT NOT NULL, valid_from TEXT, \
             valid_until TEXT, confidence REAL, provenance_json TEXT, attributes_json TEXT, text TEXT, embedding TEXT);
             INSERT INTO triples VALUES ('z', 's', 'p', 'O', 'session', 'session_memory_s', '2026', '2025', NULL, 0.5, \
             '{\"span_id\":\"x\"}', '{\"literal\":true,\"n\":NaN}', 't', NULL);
             INSERT INTO triples VALUES ('a', 's', 'p', 'o', 'run', NULL, '2026', NULL, NULL, NULL, NULL, 'broken', \
             't', '[1.0]');",
        );
        let graph = graph.expect("a graph");
        assert_eq!((graph.total, report.others["statements"]), (2, 2));
        assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
        assert!(report.warnings[0].contains("the vectors of 1 statements are left behind"));
        let mut reader = graph.open().expect("opens");
        let first = reader.next(1).expect("read");
        assert_eq!(first[0].assertion_id, "z");
        assert_eq!(
            &*first[0].body,
            r#"{"confidence":0.5,"provenance":{"span_id":"x"},"attributes":{"literal":true,"n":null}}"#
        );
        assert_eq!(first[0].valid_from.as_deref(), Some("2025"));
        let rest = reader.next(9).expect("read");
        assert_eq!((rest[0].owner_id.as_str(), rest.len()), ("", 1));
        assert_eq!(&*rest[0].body, r#"{"provenance":{},"attributes":{}}"#);
        assert!(reader.next(9).expect("read").is_empty());
        assert_eq!((reader.garbled, reader.repairs.non_finite), (1, 1));
    }

    #[test]
    fn columns_of_later_versions_are_optional() {
        let (_folder, report, graph) = graph(
            "CREATE TABLE triples (assertion_id TEXT PRIMARY KEY, subject TEXT, predicate TEXT, object TEXT, \
             scope TEXT, owner_id TEXT, observed_at TEXT);
             INSERT INTO triples VALUES ('a', 's', 'p', 'o', 'run', 'r', '2026');",
        );
        let found = graph
            .expect("a graph")
            .open()
            .expect("opens")
            .next(9)
            .expect("read");
        assert_eq!((found.len(), report.warnings.len()), (1, 0));
    }

    #[test]
    fn other_databases_are_named() {
        let (_folder, report, graph) = graph("CREATE TABLE t (x)");
        assert!(graph.is_none());
        assert_eq!(report.warnings.len(), 1);
    }
}
