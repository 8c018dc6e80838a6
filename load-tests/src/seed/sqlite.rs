//! The same in the file of a stopped embedded gateway.

use std::path::Path;

use anyhow::{Result, ensure};
use rusqlite::{Connection, named_params};

use super::{TABLES, TEXTS, prefix};

/// Makes `count` copies of a run.
///
/// # Errors
/// The file cannot be written, or there is no such run.
pub(crate) fn sqlite(database: &Path, run: &str, count: usize) -> Result<()> {
    let mut conn = Connection::open(database)?;
    // A scratch file; the gateway chooses its own settings when it opens it.
    conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
    let prefix = prefix();
    let tx = conn.transaction()?;
    for table in TABLES {
        // Apart from the table, because a statement that reads what it writes gathers its rows first.
        tx.execute_batch(&format!(
            "CREATE TEMP TABLE original AS SELECT * FROM {table} LIMIT 0"
        ))?;
        let found = tx.execute(
            &format!("INSERT INTO original SELECT * FROM {table} WHERE run_id = unhex(replace(?1, '-', ''))"),
            [run],
        )?;
        ensure!(table != "runs" || found == 1, "no run {run}");
        let columns = columns(&tx, table)?;
        let values: Vec<_> = columns.iter().map(|column| value(column)).collect();
        let mut copy = tx.prepare(&format!(
            "INSERT INTO {table} ({}) SELECT {} FROM original",
            columns.join(", "),
            values.join(", ")
        ))?;
        for n in 0..count {
            let id = format!("{prefix}{n:012x}");
            copy.execute(named_params! {":id": id, ":run": run})?;
        }
        drop(copy);
        tx.execute_batch("DROP TABLE original")?;
    }
    tx.commit()?;
    Ok(())
}

fn columns(conn: &Connection, table: &str) -> Result<Vec<String>> {
    let mut names = conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = names.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// What a copy has in a column; both parameters occur for every table.
fn value(column: &str) -> String {
    match column {
        "run_id" => "unhex(replace(:id, '-', '') || substr(:run, 1, 0))".to_owned(),
        text if TEXTS.contains(&text) => format!("replace({text}, :run, :id)"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_ids_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        let conn = Connection::open(&path).expect("a database");
        let run = "0190a1b2-0000-7000-8000-0000000000aa";
        conn.execute_batch(&format!(
            "CREATE TABLE runs (run_id BLOB UNIQUE, vars TEXT);
             CREATE TABLE run_heads (run_id BLOB PRIMARY KEY, mail_in INTEGER) WITHOUT ROWID;
             CREATE TABLE ledger (run_id BLOB, last_seq INTEGER, records TEXT);
             INSERT INTO runs VALUES (unhex(replace('{run}', '-', '')), 'of {run}'), (x'00', 'another');
             INSERT INTO ledger SELECT run_id, 1, '{run} a' FROM runs;
             INSERT INTO ledger SELECT run_id, 2, '{run} b' FROM runs WHERE vars LIKE 'of%';"
        ))
        .expect("a schema");
        drop(conn);
        sqlite(&path, run, 3).expect("copies");
        let conn = Connection::open(&path).expect("a database");
        let count = |query: &str| {
            conn.query_row(query, [], |row| row.get::<_, i64>(0))
                .expect("a count")
        };
        assert_eq!(count("SELECT count(*) FROM runs"), 5);
        assert_eq!(count("SELECT count(*) FROM ledger"), 3 + 3 * 2);
        assert_eq!(count("SELECT count(*) FROM run_heads"), 0);
        // Each text names the run that it belongs to.
        let own = "SELECT count(*) FROM runs WHERE replace(vars, '-', '') = 'of ' || lower(hex(run_id))";
        assert_eq!(count(own), 4);
        assert!(sqlite(&path, "0190a1b2-0000-7000-8000-0000000000ab", 1).is_err());
    }
}
