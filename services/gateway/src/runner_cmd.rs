//! `runner`: claims and drives runs of a pool, without HTTP.

use std::{process::ExitCode, time::Duration};

use ag_api::{Fitness, Ops};
use ag_config::{Config, EnvSource, Loaded};
use ag_engine::{Deps, POOL_GRACE};
use ag_runner::{Company, Runner, RunnerOptions};
use anyhow::{Context as _, bail};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::{
    compose, gc,
    housekeeping::{self, RunnerProbe},
    serve,
};

/// Drain time where the configured one is no duration.
const DRAIN: Duration = Duration::from_secs(20);

/// Works until a signal comes; a second one aborts.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource) -> anyhow::Result<ExitCode> {
    let Loaded { config, warnings, .. } = loaded;
    let telemetry = serve::telemetry(&config)?;
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
    platform.backend.check_role(ag_store_postgres::Role::Engine)?;
    let shutdown = CancellationToken::new();
    Box::pin(crate::mcp::start(&platform.mcp, &shutdown)).await;
    let signals = tokio::spawn(serve::watch_signals(shutdown.clone()));
    let fit = Fitness::default();
    let watching = match config.runner.workspace {
        true => housekeeping::watch_workspaces(&config, &platform, &fit),
        false => None,
    };
    let probe = RunnerProbe {
        store: platform.deps.store.clone(),
        bell: platform.deps.bell.clone(),
        feed: platform.deps.feed.clone(),
        fit: fit.clone(),
        draining: shutdown.clone(),
    };
    let ops = Ops {
        metrics: Some(telemetry.metrics()),
        probe: Arc::new(probe),
    };
    let ops = housekeeping::ops_listener(&config, ops).await?;
    let finish = async || {
        for task in [ops, watching].into_iter().flatten() {
            task.abort();
        }
        signals.abort();
        let closed = platform.backend.close().await;
        telemetry.flush().await;
        closed
    };
    // Files written into a foreign folder are lost to everybody else.
    while !fit.is_fit() {
        tokio::select! {
            () = shutdown.cancelled() => {
                finish().await?;
                return Ok(ExitCode::SUCCESS);
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    let runner = new_runner(&config, platform.deps.clone());
    runner.open().await.context("cannot open a runner session")?;
    tracing::info!(
        pool = config.runner.pool,
        slots = config.runner.slots,
        "runner ready"
    );
    let collector = gc::start(&config, &platform.deps, platform.blobs.clone(), shutdown.clone());
    runner.run(shutdown).await;
    if let Some(collector) = collector {
        collector.await.context("the collector panicked")?;
    }
    finish().await?;
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
        drain: Duration::try_from_secs_f64(config.runner.drain_s).unwrap_or(DRAIN),
        company: match config.store_backend() {
            ag_config::StoreBackend::Sqlite => Company::Alone,
            ag_config::StoreBackend::Postgres => Company::Others {
                workspace: config.runner.workspace,
            },
        },
        pool_grace: POOL_GRACE,
        instances: (config.store_backend() == ag_config::StoreBackend::Postgres)
            .then(|| config.data_path("runners")),
    };
    Runner::new(deps, options)
}
