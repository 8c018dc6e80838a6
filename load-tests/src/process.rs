//! What the kernel says about processes.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

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
    let [own, _] = times(pid)?;
    Ok(own)
}

/// The same of a process with all the children that it has or had.
///
/// # Errors
/// The process is gone.
pub(crate) fn family_cpu(pid: u32) -> Result<Duration> {
    let [own, ended] = times(pid)?;
    // A child that ends meanwhile counts with the ended ones next time.
    let living = children(pid).into_iter().filter_map(|child| cpu(child).ok());
    Ok(own + ended + living.sum::<Duration>())
}

/// Its own time, and that of its children which it has waited for.
fn times(pid: u32) -> Result<[Duration; 2]> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets and may contain anything.
    let rest = text.rsplit_once(')').context("a stat line without a name")?.1;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let time = |user, system| {
        let sum = ticks(user)
            .zip(ticks(system))
            .context("a stat line without times")?;
        anyhow::Ok(Duration::from_secs_f64((sum.0 + sum.1) as f64 / per_second))
    };
    Ok([time(11, 12)?, time(13, 14)?])
}

/// Children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let ids = children.split_ascii_whitespace();
    ids.filter_map(|id| id.parse().ok()).collect()
}

/// CPU time of the processes under test, by what they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu(BTreeMap<&'static str, Duration>);

/// Parts that are not the gateway's own.
const SERVERS: [&str; 3] = ["nats", "postgres", "redis"];

impl Cpu {
    pub(crate) fn add(&mut self, part: &'static str, time: Duration) {
        *self.0.entry(part).or_default() += time;
    }

    /// What was spent since an earlier look.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (part, time) in &mut self.0 {
            *time = time.saturating_sub(before.0.get(part).copied().unwrap_or_default());
        }
        self
    }

    /// All of it.
    pub(crate) fn sum(&self) -> Duration {
        self.0.values().sum()
    }

    /// Without database and brokers.
    pub(crate) fn own(&self) -> Duration {
        let own = self.0.iter().filter(|(part, _)| !SERVERS.contains(part));
        own.map(|(_, time)| *time).sum()
    }

    /// Each part, where there are several.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let several = self.0.len() > 1;
        self.0
            .iter()
            .filter(move |_| several)
            .map(|(part, time)| (*part, *time))
    }
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
