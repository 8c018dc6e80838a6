//! What the kernel says about processes.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process and its children open as many sockets as the system allows.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // A refusal shows later, as streams that cannot be opened.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// CPU time of a process and all its threads so far, in steps of the kernel's tick (10 ms).
///
/// # Errors
/// The process is gone.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets and may contain anything.
    let rest = text.rsplit_once(')').context("a stat line without a name")?.1;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    let sum = ticks(11).zip(ticks(12)).context("a stat line without times")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(
        (sum.0 + sum.1) as f64 / per_second as f64,
    ))
}

/// CPU time of this process.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu(std::process::id())
}

/// Memory of a process: shared pages count in part.
///
/// # Errors
/// The process is gone or the kernel does not tell.
pub(crate) fn pss_mib(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib: f64 = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .context("no Pss line")?
        .trim()
        .parse()?;
    Ok(kib / 1024.0)
}

/// Size of the database with its log.
pub(crate) fn database_bytes(data_dir: &Path) -> u64 {
    ["gateway.sqlite3", "gateway.sqlite3-wal"]
        .iter()
        .filter_map(|name| fs::metadata(data_dir.join(name)).ok())
        .map(|meta| meta.len())
        .sum()
}
