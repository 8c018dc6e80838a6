//! No statement of a hot path may look through a table: each uses the one index that its key names.

use crate::{db::Db, migrate::migrate, ports, writer};

fn plan(db: &Db, sql: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let steps = db.all(&explain, &[], |row| {
        let _tree = (row.int()?, row.int()?, row.int()?);
        row.string()
    });
    steps.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn schema() -> Db {
    let db = Db::in_memory().expect("memory");
    migrate(&db).expect("schema");
    db
}

/// Tables that grow; `k` and constants may be scanned.
fn scans(step: &str) -> bool {
    let Some(name) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let name = name.split_whitespace().next().unwrap_or_default();
    let indexed = step.contains(" USING INDEX ") || step.contains(" USING COVERING INDEX ");
    !["k", "CONSTANT", "tree", "below"].contains(&name) && !name.contains("CONSTANT") && !indexed
}

#[test]
fn every_hot_statement_uses_one_index() {
    let db = schema();
    let mut texts = writer::statements_for_test();
    texts.extend(ports::statements_for_test());
    for sql in texts {
        let steps = plan(&db, sql);
        assert!(
            !steps.iter().any(|step| scans(step)),
            "{sql}\n{}",
            steps.join("\n")
        );
        assert!(
            !steps.iter().any(|step| step.contains("AUTOMATIC")),
            "{sql}\n{}",
            steps.join("\n")
        );
    }
}

/// The index that matters, where more than one could be chosen.
#[test]
fn the_expected_index_is_chosen() {
    let db = schema();
    let page = ports::statements_for_test()[0];
    let expected = [
        (
            page,
            "sqlite_autoindex_ledger_1 (run_id=? AND plane_id=? AND last_seq>? AND last_seq<?)",
        ),
        (ports::statements_for_test()[1], "runs_parent (parent_run_id=?)"),
        (
            ports::statements_for_test()[4],
            "runs_wait_key (plane_id=? AND wait_key=?)",
        ),
        (
            "SELECT min(wake_at) FROM run_heads WHERE wake_at IS NOT NULL",
            "run_heads_wake",
        ),
        (
            "SELECT run_id FROM run_heads WHERE ready_at IS NOT NULL",
            "run_heads_ready",
        ),
        (
            "SELECT run_id FROM runs r WHERE r.plane_id = 1 AND substr(r.workflow_id, 1, 2) <> '__' \
             ORDER BY r.updated_at DESC, r.run_id LIMIT 50",
            "runs_updated (plane_id=?)",
        ),
    ];
    for (sql, index) in expected {
        let steps = plan(&db, sql).join("\n");
        assert!(steps.contains(index), "{sql}\n{steps}");
        assert!(
            !steps.contains("TEMP B-TREE") || !sql.contains("updated_at DESC"),
            "{sql}\n{steps}"
        );
    }
}
