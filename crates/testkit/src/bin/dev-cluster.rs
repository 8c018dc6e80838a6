//! A cluster to try things on: Postgres, NATS, Redis, API nodes and runners on this machine, until Ctrl-C.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, ExitCode},
};

use ag_testkit::{Cluster, ClusterOptions, Durability, Node};
use anyhow::{Context as _, Result, ensure};
use clap::Parser;

/// Starts a cluster in a scratch folder, from the servers installed on this machine. Ctrl-C stops and removes it.
#[derive(Debug, Parser)]
#[command(name = "dev-cluster")]
struct Arguments {
    /// API nodes.
    #[arg(long, default_value_t = 2)]
    api: usize,
    /// Runners.
    #[arg(long, default_value_t = 2)]
    runners: usize,
    /// Let commits wait for the disk, as in production.
    #[arg(long)]
    durable: bool,
    /// Log filter of the nodes, for example `info` or `warn,ag_runner=debug`.
    #[arg(long, default_value = "warn")]
    log: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    build_gateway()?;
    let mut options = ClusterOptions::new(Node::binary()?);
    options.api = arguments.api.max(1);
    options.runners = arguments.runners;
    if arguments.durable {
        options.durability = Durability::PowerLoss;
    }
    options.log_filter = Some(arguments.log);
    // Addresses and keys of model servers.
    options.inherit = true;
    let started = tokio::select! {
        started = Cluster::start(options) => started?,
        // What was started so far ends with it.
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
    };
    let Some(mut cluster) = started else {
        return Ok(ExitCode::FAILURE);
    };
    announce(&cluster)?;
    tokio::signal::ctrl_c()
        .await
        .context("cannot listen for Ctrl-C")?;
    writeln!(std::io::stdout().lock(), "\nstopping")?;
    tokio::select! {
        stopped = cluster.stop() => stopped?,
        // A second one does not wait for effects in flight.
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Under `cargo run`, the gateway that is started is the one of the working tree.
#[expect(
    clippy::disallowed_methods,
    reason = "Cargo says with a variable where it is and that it runs this"
)]
fn build_gateway() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "abstractgateway"]);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status().context("cannot run cargo")?;
    ensure!(status.success(), "the gateway does not build");
    Ok(())
}

fn announce(cluster: &Cluster) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for url in cluster.urls() {
        writeln!(out, "api       {url}")?;
    }
    writeln!(out, "token     {}", cluster.token())?;
    writeln!(out, "postgres  {}", cluster.database_url())?;
    writeln!(out, "nats      {}", cluster.nats.url())?;
    writeln!(out, "redis     {}", cluster.redis.url())?;
    writeln!(out, "logs      {}/*.log", cluster.folder().display())?;
    for node in cluster.api.iter().chain(&cluster.runners) {
        if let Some(pid) = node.pid() {
            writeln!(out, "{:9} pid {pid}", node.name())?;
        }
    }
    let url = cluster.urls().into_iter().next().unwrap_or_default();
    writeln!(
        out,
        "try       abstractgateway --url {url} --token {} bundles",
        cluster.token()
    )?;
    writeln!(out, "Ctrl-C stops everything and removes it.")?;
    out.flush()?;
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a command go to the terminal"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("dev-cluster: {error:#}");
    ExitCode::FAILURE
}
