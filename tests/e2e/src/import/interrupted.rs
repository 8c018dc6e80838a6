//! Imports that die, again and again, and what they leave in the end.

use std::{path::Path, process::Stdio, time::Duration};

use ag_testkit::Node;
use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::report;

/// Most deaths of one import; far more than it has writes.
const MAX_DEATHS: usize = 400;

/// How an import dies.
#[derive(Debug, Clone, Copy)]
pub enum Death {
    /// At a write, each attempt at a later one.
    AtEachWrite,
    /// By SIGKILL, each attempt somewhat later than the one before.
    After(Duration),
}

/// Repeats an import that dies until it ends by itself; how often it died. `None`: the binary has no crash points.
///
/// # Errors
/// It fails otherwise, or never ends.
pub async fn until_done(
    arguments: &[&str],
    data_dir: &Path,
    env: &[(&str, &str)],
    death: Death,
) -> Result<Option<usize>> {
    for deaths in 0..MAX_DEATHS {
        let mut command = Command::new(Node::binary()?);
        command
            .arg("migrate")
            .args(arguments)
            .arg("--data-dir")
            .arg(data_dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if matches!(death, Death::AtEachWrite) {
            let rule = format!("import.write=abort@{}", deaths + 1);
            command.env(crate::points::FAILPOINTS, rule);
        }
        let mut child = command.spawn()?;
        if let Death::After(step) = death {
            let factor = u32::try_from(deaths).unwrap_or(u32::MAX).saturating_add(1);
            if tokio::time::timeout(step.saturating_mul(factor), child.wait())
                .await
                .is_err()
            {
                child.start_kill()?;
            }
        }
        let ended = child.wait_with_output().await?;
        let said = String::from_utf8_lossy(&ended.stderr);
        if matches!(death, Death::AtEachWrite) && !said.contains("failpoints armed") {
            report::note("the binary has no crash points: skipped");
            return Ok(None);
        }
        match ended.status.code() {
            // By a signal.
            None => {}
            Some(0) => return Ok(Some(deaths)),
            Some(code) => bail!("the import ended with {code}: {said}"),
        }
    }
    bail!("the import does not end");
}

/// All rows of an embedded store, without what depends on the moment of the import and the number of its
/// transactions; one line each, in an order that does not depend on that of the writes either.
///
/// # Errors
/// The database cannot be read.
pub async fn rows(data_dir: &Path) -> Result<String> {
    const DUMP: &str = r#"
import sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
left_out = {"documents": {"updated_at"}, "planes": {"generation"}, "run_heads": {"ready_at"}, "commands": {"created_at"},
            "memory_spans": {"seq"}, "kg_assertions": {"seq"}}
tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
for table in tables:
    if table in ("store_state", "runner_sessions", "sqlite_sequence"):
        continue
    columns = [row[1] for row in db.execute("PRAGMA table_info(%s)" % table) if row[1] not in left_out.get(table, ())]
    lines = [table + " " + repr(row) for row in db.execute("SELECT %s FROM %s" % (", ".join(columns), table))]
    print("\n".join(sorted(lines)))
"#;
    let done = Command::new("python3")
        .args(["-c", DUMP])
        .arg(data_dir.join("gateway.sqlite3"))
        .stdin(Stdio::null())
        .output()
        .await
        .context("python3 is needed to read the database")?;
    ensure!(
        done.status.success(),
        "the dump failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).context("a dump in UTF-8")
}

/// Files below a folder with their sizes, in order.
///
/// # Errors
/// It cannot be read.
pub fn files(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder_of) = open.pop() {
        for entry in std::fs::read_dir(&folder_of)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => open.push(entry.path()),
                false => {
                    let name = entry.path().strip_prefix(folder)?.to_string_lossy().into_owned();
                    found.push((name, entry.metadata()?.len()));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The first lines in which two dumps differ.
#[must_use]
pub fn difference(one: &str, other: &str) -> Option<String> {
    let (mut one, mut other) = (one.lines(), other.lines());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some(format!("{a:?}\n{b:?}")),
        }
    }
}
