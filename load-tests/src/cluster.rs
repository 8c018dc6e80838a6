//! A cluster under test: Postgres whose commits wait for the disk, NATS, Redis, API nodes and runners.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ag_testkit::{Cluster as Processes, ClusterOptions, Durability, Node};
use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};

use crate::{
    bundle,
    cli::Options,
    client::{Conn, Target},
    process::{self, Cpu},
    seed,
    server::MODEL_KEY,
};

/// Nodes of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub api: usize,
    pub runners: usize,
}

impl Shape {
    /// As many as asked for.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            api: options.api.max(1),
            runners: options.runners.max(1),
        }
    }

    /// At least so many of both.
    pub(crate) fn at_least(self, api: usize, runners: usize) -> Self {
        Self {
            api: self.api.max(api),
            runners: self.runners.max(runners),
        }
    }
}

/// A running cluster; everything ends when it is dropped.
pub(crate) struct Cluster {
    /// Its processes, to stop and start.
    pub processes: Processes,
    authorization: Arc<str>,
    next: AtomicUsize,
}

impl Cluster {
    /// A cluster with the flows installed.
    ///
    /// # Errors
    /// A server is not installed, something does not come up, or the flows are refused.
    pub(crate) async fn running(options: &Options, shape: Shape, env: &[(&str, String)]) -> Result<Self> {
        let mut wanted = ClusterOptions::new(std::path::absolute(&options.binary)?);
        (wanted.api, wanted.runners) = (shape.api, shape.runners);
        wanted.durability = Durability::PowerLoss;
        wanted = wanted.env("OPENAI_API_KEY", MODEL_KEY);
        for (name, value) in env {
            wanted = wanted.env(name, value.clone());
        }
        for (name, value) in options.more_env() {
            wanted = wanted.env(name, value);
        }
        let processes = Processes::start(wanted)
            .await?
            .context("a cluster needs postgres, nats-server and redis-server on this machine")?;
        let cluster = Self {
            authorization: format!("Bearer {}", processes.token()).into(),
            processes,
            next: AtomicUsize::new(0),
        };
        bundle::install(&mut cluster.conn()).await?;
        Ok(cluster)
    }

    /// A fresh connection to the next node in turn.
    pub(crate) fn conn(&self) -> Conn {
        self.conn_to(self.next.fetch_add(1, Relaxed) % self.processes.api.len())
    }

    /// A fresh connection to a node.
    pub(crate) fn conn_to(&self, node: usize) -> Conn {
        let url = self.processes.api[node].base_url();
        Conn::new(&Target {
            address: url.strip_prefix("http://").unwrap_or(url).into(),
            authorization: Arc::clone(&self.authorization),
        })
    }

    pub(crate) fn home(&self) -> &Path {
        self.processes.folder()
    }

    /// CPU time so far, of those that run.
    ///
    /// # Errors
    /// A process is gone.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let mut cpu = Cpu::default();
        for (part, nodes) in [("api", &self.processes.api), ("runner", &self.processes.runners)] {
            for pid in nodes.iter().filter_map(Node::pid) {
                cpu.add(part, process::cpu(pid)?);
            }
        }
        let postgres = self.processes.postgres.pid().context("postgres does not run")?;
        cpu.add("postgres", process::family_cpu(postgres)?);
        for (part, pid) in [
            ("nats", self.processes.nats.pid()),
            ("redis", self.processes.redis.pid()),
        ] {
            if let Some(pid) = pid {
                cpu.add(part, process::cpu(pid)?);
            }
        }
        Ok(cpu)
    }

    /// Memory of each node that runs, in MiB.
    ///
    /// # Errors
    /// One is gone.
    pub(crate) fn memory(&self) -> Result<Vec<f64>> {
        let nodes = self.processes.api.iter().chain(&self.processes.runners);
        nodes.filter_map(Node::pid).map(process::pss_mib).collect()
    }

    /// A connection to the database.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn database(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.processes.database_url()).await?)
    }

    /// Makes copies of a run, in the tables.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn multiply(&self, run: &str, count: usize) -> Result<()> {
        seed::postgres(&mut self.database().await?, run, count).await
    }
}
