//! The recorded conformance vectors against fresh gateways or clusters, in parallel shards.
//!
//! The runner's waits dominate its time, so several runners, each with a gateway and a fake upstream of its own (the
//! upstream has one script at a time), work on disjoint parts of the set. Before a cluster stands a balancer, so that
//! what one API node was told is asked of the other.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::{process::Command, task::JoinSet};

use ag_testkit::{Cluster, ClusterOptions, FaultProxy, Node};

use crate::{FakeUpstream, Gateway, Options, binary, gateway, report};

/// Upper bound of one profile's run.
const LIMIT: Duration = Duration::from_secs(200);
/// Runners at a time. They mostly wait, so more than there are cores.
const SHARDS: usize = 4;
/// The same with a cluster each.
const CLUSTER_SHARDS: usize = 3;

/// What the vectors are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One process.
    Embedded,
    /// Two API nodes and two runners.
    Cluster,
}

/// Runs all vectors of a server profile.
///
/// # Errors
/// Any vector fails (its differences are printed), or the runner itself does.
pub async fn check(target: Target, profile: &str, tool_mode: &str) -> Result<()> {
    let cases = cases(profile)?;
    ensure!(!cases.is_empty(), "no vectors of profile {profile}");
    let count = cases.len();
    let usual = match target {
        Target::Embedded => SHARDS,
        Target::Cluster => CLUSTER_SHARDS,
    };
    let shards = number("AG_E2E_SHARDS").unwrap_or(usual).clamp(1, count);
    let mut parts = vec![Vec::new(); shards];
    for (n, case) in cases.into_iter().enumerate() {
        parts[n % shards].push(case);
    }
    let mut tasks = JoinSet::new();
    for part in parts {
        let (profile, tool_mode) = (profile.to_owned(), tool_mode.to_owned());
        tasks.spawn(async move { shard(target, &profile, &tool_mode, part).await });
    }
    let results = tokio::time::timeout(LIMIT, async {
        let mut results = Vec::new();
        while let Some(result) = tasks.join_next().await {
            results.extend(result.context("a shard panicked")??);
        }
        anyhow::Ok(results)
    })
    .await
    .with_context(|| format!("vectors of {profile} not done within {LIMIT:?}"))??;
    if results.is_empty() {
        // A server is not installed, and that was said.
        return Ok(());
    }
    judge(profile, count, &results)
}

/// Sums the shards up; prints what failed.
fn judge(profile: &str, count: usize, results: &[Outcome]) -> Result<()> {
    let mut failed = Vec::new();
    let mut passed = 0;
    for outcome in results {
        for row in outcome.report["vectors"].as_array().into_iter().flatten() {
            if row["ok"] == true {
                passed += 1;
            } else {
                failed.push(row["name"].as_str().unwrap_or("?").to_owned());
            }
        }
        if !outcome.differences.is_empty() {
            report::note(&outcome.differences);
        }
    }
    failed.sort();
    report::note(&format!(
        "{profile}: {passed} passed, {} failed of {count}",
        failed.len()
    ));
    if !failed.is_empty() {
        bail!("{} vectors failed: {}", failed.len(), failed.join(" "));
    }
    ensure!(passed == count, "only {passed} of {count} vectors were run");
    Ok(())
}

struct Outcome {
    report: Value,
    /// The runner's lines except those of vectors that passed.
    differences: String,
}

/// The processes of a shard.
enum Processes {
    Embedded(Box<Gateway>),
    Cluster {
        cluster: Box<Cluster>,
        balancer: FaultProxy,
    },
}

impl Processes {
    /// `None` where a server is not installed.
    async fn start(target: Target, tool_mode: &str, upstream: &FakeUpstream) -> Result<Option<Self>> {
        let options = Options::default()
            .tool_mode(tool_mode)
            .upstream(upstream.base_url());
        if target == Target::Embedded {
            return Ok(Some(Self::Embedded(Box::new(Gateway::start(options).await?))));
        }
        let mut nodes = ClusterOptions::new(Node::binary()?);
        nodes.env = options.into_env();
        nodes.log_filter = gateway::log_filter();
        let Some(cluster) = Cluster::start(nodes).await? else {
            return Ok(None);
        };
        let balancer = FaultProxy::start_balanced(cluster.api_ports()).await?;
        Ok(Some(Self::Cluster {
            cluster: Box::new(cluster),
            balancer,
        }))
    }

    fn base_url(&self) -> String {
        match self {
            Self::Embedded(gateway) => gateway.base_url().to_owned(),
            Self::Cluster { balancer, .. } => format!("http://127.0.0.1:{}", balancer.port()),
        }
    }

    fn token(&self) -> &str {
        match self {
            Self::Embedded(gateway) => gateway.token(),
            Self::Cluster { cluster, .. } => cluster.token(),
        }
    }

    fn log_tail(&self) -> String {
        match self {
            Self::Embedded(gateway) => gateway.log_tail(),
            Self::Cluster { cluster, .. } => cluster.log_tails(),
        }
    }
}

async fn shard(
    target: Target,
    profile: &str,
    tool_mode: &str,
    cases: Vec<PathBuf>,
) -> Result<Option<Outcome>> {
    let upstream = FakeUpstream::start().await?;
    let Some(processes) = Processes::start(target, tool_mode, &upstream).await? else {
        return Ok(None);
    };
    let scratch = tempfile::tempdir()?;
    let report_path = scratch.path().join("report.json");
    let level = std::env::var("AG_E2E_LEVEL").unwrap_or_else(|_| "full".to_owned());
    let output = Command::new("python3")
        .arg(binary::vectors().join("run_vectors.py"))
        .args(["check", "--configure", "--retries", "0", "--level", &level])
        .args([
            "--profile",
            profile,
            "--base-url",
            &processes.base_url(),
            "--token",
            processes.token(),
        ])
        .args(["--upstream", upstream.base_url()])
        .arg("--report")
        .arg(&report_path)
        .args(cases)
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("python3 is needed for the vectors")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut differences: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("ok ") && !line.ends_with(" 0 failed"))
        .collect();
    let complaints = String::from_utf8_lossy(&output.stderr);
    differences.extend(complaints.lines());
    let log = processes.log_tail();
    if !output.status.success() {
        differences.push("log of this shard's processes:");
        differences.extend(log.lines());
    }
    let differences = differences.join("\n");
    let report = std::fs::read(&report_path).with_context(|| format!("the runner broke:\n{differences}"))?;
    Ok(Some(Outcome {
        report: serde_json::from_slice(&report)?,
        differences,
    }))
}

/// Folders of the vectors of a profile; `AG_E2E_FILTER` keeps the names that contain it.
fn cases(profile: &str) -> Result<Vec<PathBuf>> {
    let filter = std::env::var("AG_E2E_FILTER").unwrap_or_default();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(binary::vectors().join("cases"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let vector: Value = serde_json::from_slice(&std::fs::read(path.join("vector.json"))?)
            .with_context(|| format!("vector {name}"))?;
        if vector["profile"].as_str().unwrap_or("default") == profile && name.contains(&filter) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}
