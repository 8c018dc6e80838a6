//! `abstractgateway config …`.
//!
//! What concerns this machine (check, print, schema, init, status) works without a gateway; capability defaults live
//! in the gateway's store and are changed through its API.

mod defaults;
mod init;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use ag_config::{Config, Loaded};
use clap::Subcommand;

use crate::client::Connection;

/// Configuration commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// What is configured, and what to do next.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write an environment file with a fresh token.
    Init {
        /// The file.
        #[arg(long, default_value = ".env")]
        env_file: PathBuf,
        /// Overwrite an existing file.
        #[arg(long)]
        force: bool,
        /// Token to write instead of a fresh one.
        #[arg(long)]
        auth_token: Option<String>,
        /// Origins that browsers may come from.
        #[arg(long, default_value = "http://localhost:*,http://127.0.0.1:*")]
        allowed_origins: String,
        /// Bundle directory.
        #[arg(long, default_value = "./flows")]
        flows_dir: PathBuf,
        /// Who decides that tools run.
        #[arg(long, default_value = "approval")]
        tool_mode: String,
    },
    /// Check the configuration and say what was ignored.
    Check,
    /// Print the effective configuration, secrets masked.
    Print,
    /// Print the JSON schema of the configuration file.
    Schema,
    /// List the default models of a running gateway.
    Defaults {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set a default model, for example: set-default output.text --provider openai --model gpt-4o-mini
    SetDefault {
        /// Route: input.text, output.text, output.image, output.voice, input.voice, embedding.text, …
        route: String,
        /// Provider.
        #[arg(long)]
        provider: Option<String>,
        /// Model.
        #[arg(long)]
        model: Option<String>,
        /// Address of the model server.
        #[arg(long)]
        base_url: Option<String>,
        /// Further options as key=value.
        #[arg(long, value_name = "KEY=VALUE")]
        option: Vec<String>,
    },
    /// Remove a default model.
    ClearDefault {
        /// Route.
        route: String,
    },
}

/// Performs a configuration command.
pub(crate) async fn run(
    command: ConfigCommand,
    loaded: Loaded,
    connection: &Connection,
    token: Option<String>,
) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Status { json } => status(&loaded, json)?,
        ConfigCommand::Init {
            env_file,
            force,
            auth_token,
            allowed_origins,
            flows_dir,
            tool_mode,
        } => {
            let settings = init::Settings {
                token: auth_token,
                allowed_origins,
                data_dir: loaded.config.data.dir.clone(),
                flows_dir,
                tool_mode,
            };
            init::write(&env_file, force, &settings)?;
        }
        ConfigCommand::Check => check(&loaded)?,
        ConfigCommand::Print => write!(std::io::stdout().lock(), "{}", loaded.config.redacted_toml())?,
        ConfigCommand::Schema => {
            writeln!(
                std::io::stdout().lock(),
                "{}",
                serde_json::to_string_pretty(&Config::schema())?
            )?;
        }
        ConfigCommand::Defaults { json } => defaults::list(connection, token, json).await?,
        ConfigCommand::SetDefault {
            route,
            provider,
            model,
            base_url,
            option,
        } => {
            let change = defaults::Change {
                provider,
                model,
                base_url,
                options: option,
            };
            defaults::set(connection, token, &route, &change).await?;
        }
        ConfigCommand::ClearDefault { route } => defaults::clear(connection, token, &route).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(loaded: &Loaded) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for warning in &loaded.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    match &loaded.file {
        Some(file) => writeln!(out, "ok ({})", file.display())?,
        None => writeln!(out, "ok (no configuration file)")?,
    }
    Ok(())
}

fn status(loaded: &Loaded, json: bool) -> anyhow::Result<()> {
    let config = &loaded.config;
    let has_token = config.has_shared_token();
    let next = match has_token {
        true => "abstractgateway serve",
        false => "abstractgateway serve   (makes a local token), or: abstractgateway config init",
    };
    let mut out = std::io::stdout().lock();
    if json {
        let value = serde_json::json!({
            "gateway": {
                "data_dir": config.data.dir, "flows_dir": config.workflows.flows_dir,
                "workflow_source": config.workflows.source, "store_backend": format!("{:?}", config.store_backend()).to_lowercase(),
                "db_path": config.db_path(), "runner_enabled": config.runner.enabled, "auth_configured": has_token,
                "allowed_origins": config.auth.allowed_origins, "tool_mode": config.execution.tool_mode,
                "max_attachment_bytes": config.limits.attachment_bytes(),
            },
            "runtime": {"prompt_cache": config.execution.prompt_cache},
            "packages": {"abstractgateway": {"installed": true, "version": env!("CARGO_PKG_VERSION")}},
            "next_steps": [next],
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    writeln!(out, "data directory  {}", config.data.dir.display())?;
    let flows = config
        .workflows
        .flows_dir
        .as_ref()
        .map_or_else(|| "(shipped bundles)".to_owned(), |dir| dir.display().to_string());
    writeln!(out, "bundles         {flows}")?;
    writeln!(out, "store           {:?}", config.store_backend())?;
    writeln!(
        out,
        "token           {}",
        if has_token { "configured" } else { "not configured" }
    )?;
    writeln!(out, "tool mode       {}", config.execution.tool_mode)?;
    writeln!(out, "next            {next}")?;
    Ok(())
}
