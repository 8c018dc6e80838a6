//! `migrate`: brings the database's schema up to date and seeds the bundles; safe to repeat, and while the previous
//! version runs.

use std::{io::Write as _, process::ExitCode};

use ag_api::{ShippedBundles, install_flows_dir};
use ag_config::{EnvSource, Loaded, StoreBackend};
use ag_types::TenantScope;
use anyhow::Context as _;

use crate::{backend, compose};

/// Migrates and seeds.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource) -> anyhow::Result<ExitCode> {
    let config = loaded.config;
    if config.store_backend() == StoreBackend::Postgres {
        let version = ag_store_postgres::migrate(&backend::database_url(&config)?)
            .await
            .context("migration failed")?;
        writeln!(std::io::stdout().lock(), "schema version {version}")?;
    }
    // Opening the embedded store migrates it.
    let platform = compose::platform(&config, env).await?;
    let flows_dir = config.workflows.flows_dir.as_deref();
    let report = install_flows_dir(
        &platform.deps,
        &TenantScope::root(),
        flows_dir,
        ShippedBundles::Install,
    )
    .await
    .context("cannot install the bundles")?;
    let mut out = std::io::stdout().lock();
    for bundle in report.installed {
        writeln!(out, "installed {bundle}")?;
    }
    for (bundle, reason) in report.broken {
        writeln!(out, "unusable  {bundle}: {reason}")?;
    }
    drop(out);
    platform.backend.close().await?;
    Ok(ExitCode::SUCCESS)
}
