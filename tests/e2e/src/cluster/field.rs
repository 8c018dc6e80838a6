//! A cluster with a model server, bundles installed, nothing going on.

use ag_testkit::{Cluster, ClusterOptions, FaultProxy, Node};
use anyhow::{Context as _, Result};

use crate::{
    Api, FakeUpstream, gateway,
    load::flows::{self, Golden},
    points::FAILPOINTS,
    report::{self, Report},
};

use super::nest;

/// Where scenarios take place, one after the other.
#[derive(Debug)]
pub struct Field {
    /// The processes.
    pub cluster: Cluster,
    pub(super) upstream: FakeUpstream,
    /// Between the runners and the model server.
    pub(super) tap: FaultProxy,
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
        // What a server acknowledged survives its crash.
        options.durable = true;
        options.log_filter = gateway::log_filter();
        let Some(cluster) = Cluster::start(options).await? else {
            return Ok(None);
        };
        let mut field = Self {
            cluster,
            upstream,
            tap,
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
        self.cluster
            .urls()
            .iter()
            .map(|url| Api::new(url, token))
            .collect()
    }

    pub(super) fn report(&self, row: &str, invariants: &[&str]) -> Report {
        let mut report = Report::new(row, self.seed, "cluster", invariants);
        report.node("api", self.cluster.api.len());
        report.node("runner", self.cluster.runners.len());
        report
    }

    /// A metric of each runner, summed over its labels.
    pub(super) async fn of_runners(&self, metric: &str) -> Result<f64> {
        let mut sum = 0.0;
        for runner in &self.cluster.runners {
            let port = runner.metrics_port().context("a runner without metrics")?;
            let Ok(page) = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await else {
                // One that does not run has counted nothing.
                continue;
            };
            let page = page.text().await?;
            let values = page
                .lines()
                .filter(|line| line.starts_with(metric))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            sum += values.sum::<f64>();
        }
        Ok(sum)
    }

    /// For the person who looks for the reason of a failure.
    pub(super) async fn explain(&mut self) {
        const HEADS: &str = "SELECT concat_ws(' ', r.run_id, r.status, r.current_node, 'rev', r.rev, 'epoch', h.epoch, \
             'owner', h.owner, s.node, 'dead', s.dead, 'ready', h.ready_at, 'wake', h.wake_at, 'preempt', h.preempt_at, \
             'mail', h.mail_in, 'crashes', h.crashes, 'paused', r.paused) FROM run_heads h JOIN runs r USING (run_id, plane_id) \
             LEFT JOIN runner_sessions s ON s.session_id = h.owner LIMIT 20";
        report::note(&self.cluster.log_tails());
        match self.cluster.texts(HEADS).await {
            Ok(heads) => report::note(&format!("live heads:\n{}", heads.join("\n"))),
            Err(error) => report::note(&format!("live heads: {error:#}")),
        }
        if std::env::var_os("AG_E2E_KEEP").is_some() {
            self.cluster.keep();
            report::note(&format!("kept: {}", self.cluster.folder().display()));
        }
    }
}
