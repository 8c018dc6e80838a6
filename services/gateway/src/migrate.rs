//! `migrate`: brings the database's schema up to date and seeds the bundles; safe to repeat, and while the previous
//! version runs. With `--from` it brings data in ([`import`]).

mod import;
mod progress;

use std::{io::Write as _, process::ExitCode};

use ag_api::{ShippedBundles, install_flows_dir};
use ag_config::{Config, EnvSource, Loaded, StoreBackend};
use ag_types::TenantScope;
use anyhow::{Context as _, bail};

use crate::{backend, cli::MigrateArgs, compose};

/// Migrates and seeds, or imports.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource, args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let config = loaded.config;
    if let Some(kind) = args.from {
        return import::run(config, env, args, kind).await;
    }
    if args.check {
        return check(&config).await;
    }
    if config.store_backend() == StoreBackend::Postgres {
        schema(&config).await?;
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

/// Says what a migration would do.
async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let (plan, unnamed) = match config.store_backend() {
        StoreBackend::Postgres => (ag_store_postgres::plan(&backend::database_url(config)?).await?, 0),
        StoreBackend::Sqlite => {
            let found = ag_store_sqlite::schema_version(&config.db_path())
                .context("cannot read the schema version")?;
            let needed = ag_store_sqlite::SCHEMA_VERSION;
            if found > needed {
                bail!(
                    "the database has schema version {found}, newer than {needed}, the newest known here: use a newer program"
                );
            }
            (ag_store_postgres::Plan::default(), needed - found)
        }
    };
    let mut out = std::io::stdout().lock();
    for name in &plan.pending {
        writeln!(out, "to apply   {name}")?;
    }
    if unnamed > 0 {
        writeln!(
            out,
            "to apply   {unnamed} of {} versions",
            ag_store_sqlite::SCHEMA_VERSION
        )?;
    }
    for table in &plan.unprotected {
        writeln!(out, "to protect {table}")?;
    }
    for note in &plan.notes {
        writeln!(out, "note: {note}")?;
    }
    if plan.is_done() && unnamed == 0 {
        writeln!(out, "the schema is up to date")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "run `abstractgateway migrate`")?;
    Ok(ExitCode::FAILURE)
}

/// Brings the database of a cluster up to date and says what was done.
async fn schema(config: &Config) -> anyhow::Result<()> {
    let migrated = ag_store_postgres::migrate(&backend::database_url(config)?)
        .await
        .context("migration failed")?;
    let mut out = std::io::stdout().lock();
    for name in migrated.applied {
        writeln!(out, "applied   {name}")?;
    }
    for table in migrated.protected {
        writeln!(out, "protected {table}")?;
    }
    writeln!(out, "schema version {}", migrated.version)?;
    for note in migrated.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}
