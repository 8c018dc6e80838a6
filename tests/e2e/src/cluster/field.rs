//! A cluster with a model server, bundles installed, nothing going on.

use std::sync::Arc;

use ag_testkit::{Cluster, ClusterOptions, Durability, FaultProxy, Node, SmallDisk};
use anyhow::{Context as _, Result};

use crate::{
    Api, FakeUpstream, disk, gateway,
    load::flows::{self, Golden},
    points::FAILPOINTS,
    report::{self, Report},
};

use super::nest;

/// Size of a small disk: a fresh cluster, its log of changes and room for some scenarios.
const DISK: u64 = 256 << 20;

/// Where scenarios take place, one after the other.
#[derive(Debug)]
pub struct Field {
    /// The processes.
    pub cluster: Cluster,
    pub(super) upstream: FakeUpstream,
    /// Between the runners and the model server.
    pub(super) tap: FaultProxy,
    /// Addresses that stay while API nodes come and go behind them; by default clients know each node's own.
    pub(super) doors: Vec<FaultProxy>,
    /// Of the database; else why there is none of its own.
    pub(super) disk: Result<Arc<SmallDisk>, String>,
    pub(super) golden: Golden,
    pub(super) seed: u64,
    /// How often storms of a fixed sequence of faults go through it.
    pub(super) rounds: u32,
}

impl Field {
    /// Starts everything. `None`, with a loud line, where a server is not installed.
    ///
    /// # Errors
    /// A process does not come up, or the flows do not run even undisturbed.
    pub async fn start(api: usize, runners: usize, env: &[(&str, &str)]) -> Result<Option<Self>> {
        let ordinary = Err("the database lies on an ordinary disk".to_owned());
        Self::start_on(ordinary, api, runners, env).await
    }

    /// The same, with the database on a small disk that can be full; on an ordinary one where nothing can be mounted.
    ///
    /// # Errors
    /// As [`Field::start`].
    pub async fn start_on_small_disk(
        api: usize,
        runners: usize,
        env: &[(&str, &str)],
    ) -> Result<Option<Self>> {
        Self::start_on(disk::small(DISK), api, runners, env).await
    }

    async fn start_on(
        disk: Result<Arc<SmallDisk>, String>,
        api: usize,
        runners: usize,
        env: &[(&str, &str)],
    ) -> Result<Option<Self>> {
        let upstream = FakeUpstream::start().await?;
        upstream.script(&flows::upstream_script(0)).await?;
        let tap = FaultProxy::start(upstream.port()?).await?;
        let mut options = ClusterOptions::new(Node::binary()?)
            .env("OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", tap.port()))
            .env("OPENAI_API_KEY", "sk-test");
        for (name, value) in env {
            options = options.env(name, *value);
        }
        options.api = api;
        options.runners = runners;
        // Says in the log whether the program has failpoints at all.
        options = options.env(FAILPOINTS, "nothing=abort");
        options.proxied = true;
        options.metrics = true;
        // Servers are killed.
        options.durability = Durability::Crash;
        options.disk = disk.as_ref().ok().cloned();
        options.log_filter = gateway::log_filter();
        let Some(cluster) = Cluster::start(options).await? else {
            return Ok(None);
        };
        let mut field = Self {
            cluster,
            upstream,
            tap,
            doors: Vec::new(),
            disk,
            golden: Golden::default(),
            seed: report::seed(),
            rounds: 1,
        };
        let nodes = field.nodes();
        let first = nodes.first().context("a cluster without API nodes")?;
        first.install(&flows::bundle()).await?;
        first.install(&nest::bundle()).await?;
        // Installed on one node, started on another.
        let last = nodes.last().unwrap_or(first);
        field.golden = flows::golden(last).await.context("undisturbed runs")?;
        Ok(Some(field))
    }

    /// Makes sequences of faults this many times as long.
    pub fn lengthen(&mut self, rounds: u32) {
        self.rounds = rounds;
    }

    /// A client of each API node.
    #[must_use]
    pub fn nodes(&self) -> Vec<Api> {
        let token = self.cluster.token();
        let doors = self
            .doors
            .iter()
            .map(|door| format!("http://127.0.0.1:{}", door.port()));
        let urls = match self.doors.is_empty() {
            true => self.cluster.urls(),
            false => doors.collect(),
        };
        urls.iter().map(|url| Api::new(url, token)).collect()
    }

    pub(super) fn report(&self, row: &str, invariants: &[&str]) -> Report {
        let mut report = Report::new(row, self.seed, "cluster", invariants);
        report.node("api", self.cluster.api.len());
        report.node("runner", self.cluster.runners.len());
        report
    }

    /// A metric of each runner, summed over its labels.
    pub(super) async fn of_runners(&self, metric: &str) -> Result<f64> {
        sum_of(&self.cluster.runners, metric).await
    }

    /// The same of each API node.
    pub(super) async fn of_api(&self, metric: &str) -> Result<f64> {
        sum_of(&self.cluster.api, metric).await
    }

    /// For the person who looks for the reason of a failure.
    pub(super) async fn explain(&mut self) {
        const HEADS: &str = "SELECT concat_ws(' ', r.run_id, r.status, r.current_node, 'rev', r.rev, 'epoch', h.epoch, \
             'owner', h.owner, s.node, 'dead', s.dead, 'ready', h.ready_at, 'wake', h.wake_at, 'preempt', h.preempt_at, \
             'mail', h.mail_in, 'crashes', h.crashes, 'paused', r.paused) FROM run_heads h JOIN runs r USING (run_id, plane_id) \
             LEFT JOIN runner_sessions s ON s.session_id = h.owner LIMIT 20";
        const BUSY: &str = "SELECT concat_ws(' ', pid, state, wait_event_type, wait_event, 'for', now() - xact_start, \
             'blocked by', pg_blocking_pids(pid)::text, left(query, 120)) FROM pg_stat_activity \
             WHERE xact_start < now() - interval '1 s'";
        report::note(&self.cluster.log_tails());
        for (what, query) in [("live heads", HEADS), ("long transactions", BUSY)] {
            match self.cluster.texts(query).await {
                Ok(rows) => report::note(&format!("{what}:\n{}", rows.join("\n"))),
                Err(error) => report::note(&format!("{what}: {error:#}")),
            }
        }
        if std::env::var_os("AG_E2E_KEEP").is_some() {
            self.cluster.keep();
            report::note(&format!("kept: {}", self.cluster.folder().display()));
        }
    }
}

/// What the lines of a metric that begin like this show, over some nodes.
async fn sum_of(nodes: &[Node], metric: &str) -> Result<f64> {
    let mut sum = 0.0;
    for node in nodes {
        let values = metrics(node).await?;
        let own = values.iter().filter(|(name, _)| name.starts_with(metric));
        sum += own.map(|(_, value)| value).sum::<f64>();
    }
    Ok(sum)
}

/// The metrics of a node: name with labels, and value. One that does not run has counted nothing.
pub(super) async fn metrics(node: &Node) -> Result<Vec<(String, f64)>> {
    let port = node.metrics_port().context("a node without metrics")?;
    let Ok(page) = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await else {
        return Ok(Vec::new());
    };
    let page = page.text().await?;
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(value)
        .collect())
}
