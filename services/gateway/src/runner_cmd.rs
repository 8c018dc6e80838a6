//! `runner`: claims and drives runs of a pool, without HTTP.

use std::{process::ExitCode, time::Duration};

use ag_config::{Config, EnvSource, Loaded};
use ag_engine::Deps;
use ag_runner::{Runner, RunnerOptions};
use anyhow::{Context as _, bail};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::{compose, serve};

/// Works until a signal comes; a second one aborts.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource) -> anyhow::Result<ExitCode> {
    let Loaded { config, warnings, .. } = loaded;
    let _telemetry = serve::telemetry(&config)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if config.store_backend() == ag_config::StoreBackend::Sqlite {
        bail!(
            "a runner beside `serve` needs Postgres: one process owns a SQLite file. Set ABSTRACTGATEWAY_DATABASE_URL, \
             or let `serve` run the workflows itself."
        );
    }
    let platform = compose::platform(&config, env).await?;
    let runner = new_runner(&config, platform.deps.clone());
    runner.open().await.context("cannot open a runner session")?;
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(serve::watch_signals(shutdown.clone()));
    tracing::info!(
        pool = config.runner.pool,
        slots = config.runner.slots,
        "runner ready"
    );
    runner.run(shutdown).await;
    signals.abort();
    platform.backend.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// A runner as configured.
pub(crate) fn new_runner(config: &Config, deps: Arc<Deps>) -> Arc<Runner> {
    let options = RunnerOptions {
        pool: config.runner.pool.as_str().into(),
        slots: usize::try_from(config.runner.slots)
            .unwrap_or(usize::MAX)
            .clamp(1, 100_000),
        node: format!("pid {}", std::process::id()),
        drain: Duration::from_secs(20),
    };
    Runner::new(deps, options)
}
