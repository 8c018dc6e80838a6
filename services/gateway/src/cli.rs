//! The command line.

use std::{path::PathBuf, process::ExitCode};

use ag_collector::Mode;
use ag_config::{EnvSource, Inputs, Loaded, Overrides};
use clap::{Args, Parser, Subcommand};

use crate::{
    client::{self, ClientCommand, Connection},
    config_cmd, gc, healthcheck, migrate, runner_cmd, secrets, serve, tokens,
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
        /// The workspaces are not mounted here: take no run whose flow has file or tool nodes.
        #[arg(long)]
        no_workspace: bool,
        /// Let tools run commands on this machine.
        #[arg(long)]
        allow_exec: bool,
    },
    /// Bring the database's schema up to date and install the bundles; with --from, import data.
    Migrate(MigrateArgs),
    /// Remove stored bytes that nothing refers to any more; runners do it from time to time.
    Gc {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Secrets that are stored encrypted.
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
    /// Ask the process beside this one whether it is ready, for containers.
    #[command(hide = true)]
    Healthcheck,
    /// Configuration.
    Config {
        #[command(subcommand)]
        command: config_cmd::ConfigCommand,
    },
    #[command(flatten)]
    Client(ClientCommand),
}

/// What can be done with stored secrets.
#[derive(Debug, Clone, Copy, Subcommand)]
enum SecretsCommand {
    /// After a rotation: seal everything with the newest key, so that older ones can be removed. Can be repeated.
    Reseal {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
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

/// Flags of `migrate`.
#[derive(Debug, Default, Args)]
pub(crate) struct MigrateArgs {
    /// Only print what would be done to the schema; exits with 1 if there is anything.
    #[arg(long, conflicts_with = "from")]
    pub(crate) check: bool,
    /// What to read: `file` or `sqlite` for data of the Python gateway, `embedded` for this one's own.
    #[arg(long, value_enum, requires = "path", value_name = "KIND")]
    pub(crate) from: Option<SourceKind>,
    /// Data folder (or database file) to read.
    #[arg(requires = "from")]
    pub(crate) path: Option<PathBuf>,
    /// Write; without it the import only says what it would do.
    #[arg(long, requires = "from")]
    pub(crate) apply: bool,
    /// Only say what would be done (the default).
    #[arg(long, requires = "from", conflicts_with = "apply")]
    pub(crate) dry_run: bool,
    /// Folder with bundles that the imported runs execute, or one `.flow` file; can be repeated.
    #[arg(long, requires = "from", value_name = "DIR")]
    pub(crate) flows_dir: Vec<PathBuf>,
    /// Accepted for compatibility: the target is what is configured.
    #[arg(long, hide = true, requires = "from")]
    pub(crate) to: Option<String>,
}

/// Kinds of data that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SourceKind {
    /// The Python gateway's file store.
    File,
    /// The Python gateway's SQLite store.
    Sqlite,
    /// An embedded gateway of this program.
    Embedded,
}

impl MigrateArgs {
    /// The target of an import: the environment may still name the Python gateway's store, which is the source.
    fn overrides(&self, env: &EnvSource) -> Overrides {
        let overrides = Overrides::default();
        let is_file = |name: &&str| name.trim().eq_ignore_ascii_case("file");
        match env.get("ABSTRACTGATEWAY_STORE_BACKEND").filter(is_file) {
            Some(_) if self.from.is_some() => {
                let postgres = [
                    "ABSTRACTGATEWAY_DATABASE_URL",
                    "ABSTRACTGATEWAY_DATABASE_URL_FILE",
                ];
                let postgres = postgres.iter().any(|name| env.get(name).is_some());
                overrides.text("store.backend", if postgres { "postgres" } else { "sqlite" })
            }
            _ => overrides,
        }
    }
}

/// Runs a command to its exit code.
pub(crate) async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let env = EnvSource::from_process();
    if let Some(failpoints) = env.get(ag_failpoints::VARIABLE) {
        ag_failpoints::arm(failpoints)?;
    }
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
        Command::Runner {
            pool,
            no_workspace,
            allow_exec,
        } => {
            let mut overrides = Overrides::default();
            if let Some(pool) = pool {
                overrides = overrides.text("runner.pool", pool);
            }
            if no_workspace {
                overrides = overrides.flag("runner.workspace", false);
            }
            if allow_exec {
                overrides = overrides.flag("runner.allow_exec", true);
            }
            runner_cmd::run(load(overrides)?, &env).await
        }
        Command::Migrate(args) => Box::pin(migrate::run(load(args.overrides(&env))?, &env, &args)).await,
        Command::Gc { dry_run } => {
            let mode = match dry_run {
                true => Mode::DryRun,
                false => Mode::Sweep,
            };
            gc::run(load(Overrides::default())?, &env, mode).await
        }
        Command::Secrets {
            command: SecretsCommand::Reseal { dry_run },
        } => secrets::reseal(&load(Overrides::default())?.config, dry_run).await,
        Command::Healthcheck => healthcheck::run(&load(Overrides::default())?.config).await,
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
