//! `abstractgateway config …`.

use std::{io::Write as _, process::ExitCode};

use ag_config::{Config, Loaded};
use clap::Subcommand;

/// Configuration commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration and say what was ignored.
    Check,
    /// Print the effective configuration, secrets masked.
    Print,
    /// Print the JSON schema of the configuration file.
    Schema,
}

/// Performs a configuration command.
pub(crate) async fn run(command: ConfigCommand, loaded: Loaded) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Check => {
            for warning in &loaded.warnings {
                writeln!(out, "warning: {warning}")?;
            }
            match &loaded.file {
                Some(file) => writeln!(out, "ok ({})", file.display())?,
                None => writeln!(out, "ok (no configuration file)")?,
            }
        }
        ConfigCommand::Print => write!(out, "{}", loaded.config.redacted_toml())?,
        ConfigCommand::Schema => writeln!(out, "{}", serde_json::to_string_pretty(&Config::schema())?)?,
    }
    Ok(ExitCode::SUCCESS)
}
