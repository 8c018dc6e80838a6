//! Command line.

use std::path::{Path, PathBuf};

use clap::Parser;

use crate::rounds::Column;

/// Measures a gateway binary; see `load-tests/README.md`.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Scenarios to run; all when none is named.
    pub scenarios: Vec<String>,
    /// List the scenarios and end.
    #[arg(long)]
    pub list: bool,
    /// Write the table again from the stored results and end.
    #[arg(long)]
    pub table: bool,
    /// The gateway binary.
    #[arg(long, env = "ABSTRACTGATEWAY_BIN", default_value_os_t = release_binary())]
    pub binary: PathBuf,
    /// Measure a cluster on this machine: Postgres, NATS, Redis, API nodes and runners.
    #[arg(long)]
    pub cluster: bool,
    /// API nodes of the cluster; a scenario that needs more takes more.
    #[arg(long, default_value_t = 1)]
    pub api: usize,
    /// Runners of the cluster; a scenario that needs more takes more.
    #[arg(long, default_value_t = 1)]
    pub runners: usize,
    /// Rounds per scenario.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds of load per round and step.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Streams in W5.
    #[arg(long, value_delimiter = ',', default_value = "200,5000")]
    pub streams: Vec<usize>,
    /// Waiting runs in W6; a large number is written straight into the tables.
    #[arg(long, default_value_t = 10_000)]
    pub waiting: usize,
    /// Finished runs that are stored before W7 and in `growth`. A million takes a minute and 7 GB, 10 GB in a cluster.
    #[arg(long, default_value_t = 1_000_000)]
    pub stored: usize,
    /// Model calls in flight in `calls`.
    #[arg(long, default_value_t = 10_000)]
    pub calls: usize,
    /// Runs that wait for a runner in `queue`.
    #[arg(long, default_value_t = 100_000)]
    pub queued: usize,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Where results go.
    #[arg(long, default_value_os_t = crate_folder().join("results"))]
    pub results: PathBuf,
    /// More of the gateway's environment, `NAME=value`.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
}

impl Options {
    /// Which targets the figures are held against.
    pub(crate) fn column(&self) -> Column {
        match self.cluster {
            true => Column::Cluster,
            false => Column::Embedded,
        }
    }

    /// Variables for every process of the gateway.
    pub(crate) fn more_env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|pair| pair.split_once('='))
    }
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folder of the flows.
pub(crate) fn flows() -> PathBuf {
    crate_folder().join("flows")
}

/// The release folder of the target folder in use.
pub(crate) fn release_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target
        .unwrap_or_else(|| crate_folder().join("../target"))
        .join("release")
}

fn release_binary() -> PathBuf {
    release_folder().join("abstractgateway")
}
