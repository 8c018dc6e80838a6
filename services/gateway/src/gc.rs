//! Collection of unreferenced blobs: by hand, and from time to time beside a runner.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use ag_artifacts::BlobMaintenance;
use ag_collector::{Collector, Mode, Options, collect};
use ag_config::{Config, EnvSource, Loaded};
use ag_engine::Deps;
use ag_types::{Clock as _, SystemClock};
use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{backend, objects};

/// Collects once and says what was done.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource, mode: Mode) -> anyhow::Result<ExitCode> {
    let config = loaded.config;
    let backend = backend::open(&config)
        .await
        .context("an embedded gateway collects by itself while it runs")?;
    backend.check_role(ag_store_postgres::Role::Engine)?;
    let blobs = objects::open(&config, env)?;
    let options = Options {
        grace: grace(&config),
        mode,
        now: SystemClock.now(),
    };
    let done = collect(&*backend.store, &*blobs, options).await;
    backend.close().await?;
    let done = done.context("the planes cannot be read")?;
    let mut out = std::io::stdout().lock();
    if mode == Mode::DryRun {
        writeln!(out, "dry run: nothing is changed")?;
    }
    writeln!(out, "blobs      {} in {} planes", done.blobs, done.planes)?;
    writeln!(out, "retired    {} ({} bytes)", done.retired, done.retired_bytes)?;
    writeln!(out, "restored   {}", done.restored)?;
    writeln!(
        out,
        "removed    {} ({} bytes)",
        done.discarded, done.discarded_bytes
    )?;
    writeln!(out, "leftovers  {}", done.leftovers)?;
    if done.failures > 0 {
        writeln!(out, "failed     {}, see the log", done.failures)?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The periodic job, unless it is off.
pub(crate) fn start(
    config: &Config,
    deps: &Deps,
    blobs: Arc<dyn BlobMaintenance>,
    shutdown: CancellationToken,
) -> Option<JoinHandle<()>> {
    if config.blobs.gc_interval_s == 0 {
        return None;
    }
    let collector = Collector {
        store: deps.store.clone(),
        blobs,
        clock: deps.clock.clone(),
        ids: deps.ids.clone(),
        grace: grace(config),
        interval: Duration::from_secs(config.blobs.gc_interval_s),
    };
    Some(tokio::spawn(collector.run(shutdown)))
}

fn grace(config: &Config) -> Duration {
    Duration::from_secs(config.blobs.gc_grace_s)
}
