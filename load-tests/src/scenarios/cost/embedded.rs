//! With SQLite: the size of the file, and the calls of the process.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    cli::Options,
    gateway::Gateway,
    process,
    rounds::{Scenario, Values, repeat},
};

use super::super::closed::{RECORDS_3, closed};

/// Growth of the database, looked at while the process is stopped: the log is folded in then.
pub(super) async fn bytes(options: &Options) -> Result<Scenario> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("bytes", options.rounds, &scratch, &mut gateway, async |gateway| {
        let before = stopped_size(gateway).await?;
        let load = closed(gateway, "answers3", RECORDS_3, 64, seconds).await?;
        let live = process::database_bytes(&gateway.embedded()?.data_dir());
        let after = stopped_size(gateway).await?;
        let runs = load.latencies_ms.len() as f64;
        Ok(Values::from([
            (
                "bytes.stored_kb_per_run".to_owned(),
                Some((after.saturating_sub(before)) as f64 / 1e3 / runs),
            ),
            ("bytes.with_log_mb".to_owned(), Some(live as f64 / 1e6)),
        ]))
    });
    scenario.await
}

async fn stopped_size(gateway: &mut Gateway) -> Result<u64> {
    let server = gateway.embedded()?;
    server.stop().await?;
    let size = process::database_bytes(&server.data_dir());
    server.start().await?;
    Ok(size)
}

/// Calls counted by strace; unknown without it.
pub(super) async fn fsyncs(options: &Options) -> Result<Scenario> {
    let mut gateway = Gateway::running(options).await?;
    let count = gateway.home().join("strace");
    let server = gateway.embedded()?;
    server.stop().await?;
    let traced = Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    if traced {
        let filter = "trace=fsync,fdatasync";
        let path = count.to_str().context("a path that is text")?.to_owned();
        server.wrap(&["strace", "-f", "--seccomp-bpf", "-c", "-e", filter, "-o", &path]);
    }
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat(
        "fsyncs",
        options.rounds,
        &scratch,
        &mut gateway,
        async |gateway| {
            let mut values = Values::new();
            for clients in [1, 64] {
                let name = format!("fsyncs.c{clients}.per_run");
                if !traced {
                    values.insert(name, None);
                    continue;
                }
                gateway.embedded()?.start().await?;
                let load = closed(gateway, "answers3", RECORDS_3, clients, seconds).await?;
                gateway.embedded()?.stop().await?;
                let calls = counted(&count)?;
                values.insert(name, Some(calls as f64 / load.latencies_ms.len() as f64));
            }
            Ok(values)
        },
    );
    scenario.await
}

/// The sum of the calls in a summary of strace.
fn counted(path: &Path) -> Result<u64> {
    Ok(summary(&std::fs::read_to_string(path)?).values().sum())
}

/// Columns: % time, seconds, usecs/call, calls, [errors,] syscall.
fn summary(text: &str) -> BTreeMap<&str, u64> {
    let lines = text.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let name = *fields.last()?;
        name.ends_with("sync").then_some(())?;
        Some((name, fields.get(3)?.parse().ok()?))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_summaries_are_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    99.00    0.001000           3       412           fdatasync\n  1.00    0.000010           5         2         1 fsync\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.001010           3       414           total\n";
        assert_eq!(summary(text), BTreeMap::from([("fdatasync", 412), ("fsync", 2)]));
    }
}
