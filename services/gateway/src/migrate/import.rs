//! `migrate --from …`: data of the Python gateway, or of an embedded gateway, into the configured store.

use std::{io::Write as _, path::Path, process::ExitCode, sync::Arc};

use ag_artifacts::{BlobMaintenance, LocalBlobs};
use ag_config::{Config, EnvSource, StoreBackend};
use ag_importer::{
    Progress,
    embedded::{self, EmbeddedOptions},
    reference::{self, Plan, PlanOptions, StoreKind, Target},
};
use anyhow::{Context as _, bail};

use super::progress::Terminal;
use crate::{
    backend,
    cli::{MigrateArgs, SourceKind},
    compose, objects, secrets,
};

/// Looks, and with `--apply` writes.
pub(super) async fn run(
    config: Config,
    env: &EnvSource,
    args: &MigrateArgs,
    kind: SourceKind,
) -> anyhow::Result<ExitCode> {
    let path = args.path.as_deref().context("a path to read is missing")?;
    let progress: Arc<dyn Progress> = Arc::new(Terminal::default());
    match kind {
        SourceKind::File => from_reference(config, env, args, path, StoreKind::File, progress).await,
        SourceKind::Sqlite => from_reference(config, env, args, path, StoreKind::Sqlite, progress).await,
        SourceKind::Embedded => from_embedded(config, env, args, path, progress).await,
    }
}

async fn from_reference(
    config: Config,
    env: &EnvSource,
    args: &MigrateArgs,
    path: &Path,
    kind: StoreKind,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<ExitCode> {
    let postgres = config.store_backend() == StoreBackend::Postgres;
    if kind == StoreKind::Sqlite && !postgres {
        reference::check_apart(path, &config.data.dir)?;
    }
    let secrets = secrets::open(&config)?;
    let home = env.get("HOME").map(Path::new);
    let options = PlanOptions {
        kind,
        path: path.to_owned(),
        flows_dirs: args.flows_dir.clone(),
        user_settings: home.map(|home| home.join(".abstractcore/config/abstractcore.json")),
        ledgers: !args.apply,
        seals: secrets.is_some(),
        limits: ag_bundles::Limits::default(),
    };
    let plan = Plan::read(options, progress.clone()).await?;
    if !args.apply {
        return show(&plan.report);
    }
    if postgres {
        super::schema(&config).await?;
    }
    let platform = compose::platform(&config, env).await?;
    let target = Target {
        deps: platform.deps.clone(),
        imports: platform.backend.imports.clone(),
        secrets,
        workspaces: config.workspaces_root(),
    };
    let done = reference::apply(plan, &target, progress).await;
    platform.backend.close().await?;
    write!(std::io::stdout().lock(), "{}", done?)?;
    Ok(ExitCode::SUCCESS)
}

async fn from_embedded(
    config: Config,
    env: &EnvSource,
    args: &MigrateArgs,
    path: &Path,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<ExitCode> {
    if config.store_backend() != StoreBackend::Postgres {
        bail!("--from embedded moves data to a cluster: set ABSTRACTGATEWAY_DATABASE_URL");
    }
    let url = backend::database_url(&config)?;
    if args.apply {
        super::schema(&config).await?;
    } else if ag_store_postgres::schema_version(&url).await? == 0 {
        bail!("the database is empty: run `abstractgateway migrate` first, or use --apply, which does");
    }
    let folder = if path.is_file() {
        path.parent().unwrap_or(path)
    } else {
        path
    };
    let target_blobs = objects::open(&config, env)?;
    let local = folder.join("blobs");
    let source_blobs: Arc<dyn BlobMaintenance> = match local.is_dir() {
        true => Arc::new(LocalBlobs::new(local)),
        // It kept its bytes in a bucket, which is where the cluster looks.
        false => target_blobs.clone(),
    };
    let options = EmbeddedOptions {
        path: path.to_owned(),
        url,
        source_blobs,
        target_blobs,
        apply: args.apply,
    };
    let report = embedded::copy(options, progress).await?;
    if !args.apply {
        return show(&report);
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{report}")?;
    let workspaces = folder.join("workspaces");
    if workspaces.is_dir() {
        let workspaces = std::path::absolute(&workspaces).unwrap_or(workspaces);
        writeln!(
            out,
            "note: runs name their folders below {}: mount it there on every node that touches files",
            workspaces.display()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(report: &impl std::fmt::Display) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    write!(out, "{report}")?;
    writeln!(
        out,
        "nothing was written: repeat the command with --apply to import this"
    )?;
    Ok(ExitCode::SUCCESS)
}
