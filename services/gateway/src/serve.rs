//! `serve`: the HTTP role and, with the embedded store, the runner in the same process.

use std::{io::Write as _, net::SocketAddr, process::ExitCode, sync::Arc};

use ag_api::{AppState, Fitness, NoSessions, Services, ShippedBundles, install_flows_dir};
use ag_auth::{
    OriginPolicy, SharedTokens, TokenSet,
    audit::{AuditFile, NoAudit, QueuedAudit},
    startup::{self, is_loopback_host},
};
use ag_config::{Config, EnvSource, Loaded, LogFormat};
use ag_engine::{LivePools, LocalRunner, Starter};
use ag_runner::LocalSlots;
use ag_telemetry::{LogOutput, Options as LogOptions, TelemetryGuard, TraceOptions, filter_text};
use ag_types::TenantScope;
use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::ServeArgs,
    compose::{self, Platform},
    gc, housekeeping,
    runner_cmd::new_runner,
};

/// Audit records that may wait for the disk.
const AUDIT_QUEUE: usize = 10_000;

struct Access {
    tokens: TokenSet,
    host: String,
    /// The token of the local mode, to be shown.
    local: Option<String>,
}

/// Serves until a signal comes; a second one aborts.
pub(crate) async fn run(loaded: Loaded, env: &EnvSource, args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let Loaded { config, warnings, .. } = loaded;
    let config = Arc::new(config);
    let telemetry = telemetry(&config)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    std::fs::create_dir_all(&config.data.dir)
        .with_context(|| format!("cannot make the data directory {}", config.data.dir.display()))?;
    let access = access(&config)?;
    let platform = compose::platform(&config, env).await?;
    platform.backend.check_role(ag_store_postgres::Role::Api)?;
    if platform.backend.embedded {
        // On a cluster the bundles are seeded by `migrate`, once for all nodes.
        let flows_dir = config.workflows.flows_dir.as_deref();
        install_flows_dir(
            &platform.deps,
            &TenantScope::root(),
            flows_dir,
            ShippedBundles::Install,
        )
        .await
        .context("cannot install the bundles of the flows directory")?;
    }

    let shutdown = CancellationToken::new();
    Box::pin(crate::mcp::start(&platform.mcp, &shutdown)).await;
    let (runner, local) = start_runner(&config, &platform, &shutdown).await?;
    // On a cluster the runners collect.
    let collector = platform
        .backend
        .embedded
        .then(|| gc::start(&config, &platform.deps, platform.blobs.clone(), shutdown.clone()));
    // Embedded, the runner of this process looks at the pools.
    let live = (!platform.backend.embedded).then(Arc::<LivePools>::default);
    let audit = audit(&config)?;
    let looking = housekeeping::Looking {
        store: platform.deps.store.clone(),
        clock: platform.deps.clock.clone(),
        pools: live.clone(),
        database: platform.backend.embedded.then(|| config.db_path()),
        audit: audit.clone(),
    };
    let looking = tokio::spawn(looking.around());
    let starter = Starter::new(
        platform.deps.clone(),
        platform.defaults.clone(),
        platform.settings.clone(),
        local,
    );
    let starter = Arc::new(starter.with_live_pools(live.unwrap_or_default()));
    let fit = Fitness::default();
    let watching = housekeeping::watch_workspaces(&config, &platform, &fit);
    let state = AppState::new(Services {
        config: config.clone(),
        starter,
        users_mode: false,
        authenticator: Arc::new(SharedTokens::new(access.tokens.clone())),
        csrf: Arc::new(NoSessions),
        audit: match audit {
            Some(queue) => queue,
            None => Arc::new(NoAudit),
        },
        counters: platform.backend.counters.clone(),
        fit,
        metrics: Some(telemetry.metrics()),
        extensions: platform.extensions.clone(),
    });

    let listener = bind(&access.host, config.server.port).await?;
    let address = listener.local_addr().context("the listener has no address")?;
    let ops = housekeeping::ops_listener(&config, state.ops()).await?;
    announce(&config, &access, address, args)?;
    let signals = tokio::spawn(watch_signals(shutdown.clone()));
    ag_api::serve(state, listener, shutdown.clone())
        .await
        .context("the HTTP listener failed")?;

    if let Some(runner) = runner {
        runner.await.context("the runner panicked")?;
    }
    if let Some(collector) = collector.flatten() {
        collector.await.context("the collector panicked")?;
    }
    for task in [ops, watching, Some(looking)].into_iter().flatten() {
        task.abort();
    }
    signals.abort();
    platform.backend.close().await?;
    telemetry.flush().await;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn telemetry(config: &Config) -> anyhow::Result<TelemetryGuard> {
    let options = LogOptions {
        filter: filter_text(
            &config.telemetry.log_level,
            config.telemetry.log_filter.as_deref(),
        ),
        format: match config.telemetry.log_format {
            LogFormat::Auto => ag_telemetry::LogFormat::Auto,
            LogFormat::Text => ag_telemetry::LogFormat::Text,
            LogFormat::Json => ag_telemetry::LogFormat::Json,
        },
        output: LogOutput::default(),
        traces: config
            .telemetry
            .otlp_endpoint
            .clone()
            .map(|endpoint| TraceOptions {
                endpoint,
                headers: header_pairs(config.telemetry.otlp_headers.as_ref()),
                service_name: config.telemetry.service_name.clone(),
                ratio: config.telemetry.trace_ratio,
            }),
    };
    ag_telemetry::init(&options, vec![]).context("cannot set up logging")
}

/// `name=value` pairs, as the OpenTelemetry specification writes them.
fn header_pairs(text: Option<&SecretString>) -> Vec<(String, String)> {
    let text = text.map(|text| text.expose_secret()).unwrap_or_default();
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Who may come in, and where they knock (architecture D14).
fn access(config: &Config) -> anyhow::Result<Access> {
    let mut tokens = TokenSet::from_lists(config.shared_token_lists());
    let mut local = None;
    if tokens.is_empty() && config.auth.security {
        let host = config.server.host.as_deref().unwrap_or("127.0.0.1");
        if is_loopback_host(host) {
            let token = ag_auth::local_token(&config.data.dir).context("cannot make the local token")?;
            local = Some(token.expose_secret().to_owned());
            tokens.add(token.expose_secret());
        }
    }
    let host = match &config.server.host {
        Some(host) => host.clone(),
        None if local.is_some() => "127.0.0.1".to_owned(),
        None => config.bind_host(false).to_owned(),
    };
    let origins = OriginPolicy::new(config.auth.allowed_origins.iter().cloned());
    let start = startup::Start {
        host: &host,
        security: config.auth.security,
        protect_write: config.auth.protect_write,
        users_mode: false,
        tokens: &tokens,
        origins: &origins,
    };
    for warning in startup::check(&start)? {
        tracing::warn!("{warning}");
    }
    Ok(Access { tokens, host, local })
}

fn audit(config: &Config) -> anyhow::Result<Option<Arc<QueuedAudit>>> {
    if !config.audit.enabled || !config.auth.security {
        return Ok(None);
    }
    let keep = usize::try_from(config.audit.rotations).unwrap_or(usize::MAX);
    let file = AuditFile::new(
        config.audit_file(),
        config.audit.max_bytes,
        keep,
        jiff::Timestamp::now,
    );
    let queue = QueuedAudit::start(file, AUDIT_QUEUE).context("cannot start the audit log")?;
    Ok(Some(Arc::new(queue)))
}

async fn start_runner(
    config: &Config,
    platform: &Platform,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Option<JoinHandle<()>>, Option<Arc<dyn LocalRunner>>)> {
    // With a shared database, runners are processes of their own.
    if !config.runner.enabled || !platform.backend.embedded {
        return Ok((None, None));
    }
    let runner = new_runner(config, platform.deps.clone());
    runner.open().await.context("cannot open a runner session")?;
    let local: Arc<dyn LocalRunner> = Arc::new(LocalSlots(runner.clone()));
    let shutdown = shutdown.clone();
    let task = tokio::spawn(async move { runner.run(shutdown).await });
    Ok((Some(task), Some(local)))
}

pub(crate) async fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match TcpListener::bind((bare, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} on {host} is in use; choose another with --port")
        }
        Err(error) => Err(error).with_context(|| format!("cannot bind {host}:{port}")),
    }
}

/// Says where the gateway is and what to try next.
fn announce(config: &Config, access: &Access, address: SocketAddr, args: &ServeArgs) -> anyhow::Result<()> {
    let url = format!("http://{address}");
    if let Some(path) = &args.address_file {
        // Written whole and then renamed, so that a waiting script never reads half an address.
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, format!("{url}\n"))
            .and_then(|()| std::fs::rename(&temporary, path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "AbstractGateway {} on {url}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  data      {}", config.data.dir.display())?;
    writeln!(out, "  docs      {url}/docs")?;
    if let Some(token) = &access.local {
        writeln!(out, "  token     {token}")?;
        writeln!(out, "  try       abstractgateway --url {url} bundles")?;
    }
    out.flush()?;
    Ok(())
}

/// The first signal begins the drain, the second one ends the process.
pub(crate) async fn watch_signals(shutdown: CancellationToken) {
    wait_for_signal().await;
    tracing::info!("draining");
    shutdown.cancel();
    wait_for_signal().await;
    tracing::error!("second signal, leaving at once");
    std::process::exit(130);
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
