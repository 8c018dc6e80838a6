//! Whether the database file of a killed process is sound, looked at on a copy.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result};
use tokio::process::Command;

/// What was found.
pub(crate) enum Verdict {
    Sound,
    Corrupt(String),
    /// No tool to look with.
    Skipped(String),
}

const SCRIPT: &str = "
import sys
try:
    import sqlite3
except ImportError as exc:
    print('skipped: %s' % exc)
    sys.exit(0)
rows = sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall()
print(rows[0][0])
";

/// Copies database and log, so that the check does not recover in place of the gateway.
pub(crate) async fn check(data_dir: &Path) -> Result<Verdict> {
    let scratch = tempfile::tempdir()?;
    for name in ["gateway.sqlite3", "gateway.sqlite3-wal"] {
        let from = data_dir.join(name);
        if from.is_file() {
            std::fs::copy(&from, scratch.path().join(name))?;
        }
    }
    let database = scratch.path().join("gateway.sqlite3");
    anyhow::ensure!(database.is_file(), "no database in {}", data_dir.display());
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(&database)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("python3 is needed for the integrity check")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(match text.as_str() {
        "ok" => Verdict::Sound,
        _ if text.starts_with("skipped") => Verdict::Skipped(text),
        _ => Verdict::Corrupt(format!("{text} {}", String::from_utf8_lossy(&output.stderr))),
    })
}
