//! The command line.

use std::{path::PathBuf, process::ExitCode};

use ag_config::{EnvSource, Inputs, Loaded, Overrides};
use clap::{Args, Parser, Subcommand};

use crate::{
    client::{self, ClientCommand, Connection},
    config_cmd, migrate, runner_cmd, serve, tokens,
};

/// A durable run gateway for workflow bundles.
#[derive(Debug, Parser)]
#[command(name = "abstractgateway", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API; with the embedded store also run workflows in this process.
    Serve(ServeArgs),
    /// Run workflows of a pool, without HTTP (needs Postgres).
    Runner {
        /// Pool to work for.
        #[arg(long)]
        pool: Option<String>,
    },
    /// Bring the database's schema up to date and install the bundles.
    Migrate,
    /// Configuration.
    Config {
        #[command(subcommand)]
        command: config_cmd::ConfigCommand,
    },
    #[command(flatten)]
    Client(ClientCommand),
}

/// Flags of `serve`.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Address to bind.
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port to bind; 0 picks a free one.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Serve HTTP only.
    #[arg(long)]
    pub(crate) no_runner: bool,
    /// Write the address here once requests are accepted.
    #[arg(long, value_name = "FILE")]
    pub(crate) address_file: Option<PathBuf>,
    /// Accepted for compatibility; there is nothing to reload.
    #[arg(long, hide = true)]
    pub(crate) reload: bool,
}

/// Runs a command to its exit code.
pub(crate) async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let env = EnvSource::from_process();
    let load = |overrides: Overrides| -> anyhow::Result<Loaded> {
        let overrides = match &cli.data_dir {
            Some(dir) => overrides.text("data.dir", dir.to_string_lossy()),
            None => overrides,
        };
        Ok(ag_config::load(Inputs {
            config_file: cli.config.as_deref(),
            env: &env,
            flags: &overrides,
        })?)
    };
    match cli.command {
        Command::Serve(args) => {
            let mut overrides = Overrides::default();
            if let Some(host) = &args.host {
                overrides = overrides.text("server.host", host.as_str());
            }
            if let Some(port) = args.port {
                overrides = overrides.number("server.port", i64::from(port));
            }
            if args.no_runner {
                overrides = overrides.flag("runner.enabled", false);
            }
            serve::run(load(overrides)?, &env, &args).await
        }
        Command::Runner { pool } => {
            let mut overrides = Overrides::default();
            if let Some(pool) = pool {
                overrides = overrides.text("runner.pool", pool);
            }
            runner_cmd::run(load(overrides)?, &env).await
        }
        Command::Migrate => migrate::run(load(Overrides::default())?, &env).await,
        Command::Config { command } => {
            let loaded = load(Overrides::default())?;
            let token = cli
                .connection
                .token
                .clone()
                .or_else(|| tokens::local(&loaded.config));
            config_cmd::run(command, loaded, &cli.connection, token).await
        }
        Command::Client(command) => {
            let local = || {
                load(Overrides::default())
                    .ok()
                    .and_then(|loaded| tokens::local(&loaded.config))
            };
            let token = cli.connection.token.clone().or_else(local);
            client::run(command, &cli.connection, token).await
        }
    }
}
