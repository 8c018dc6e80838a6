//! What every role does besides its work: the operators' listener, the look at the pools, the size of the database.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ag_api::{Fitness, Ops, Probe, Readiness};
use ag_auth::audit::QueuedAudit;
use ag_config::Config;
use ag_engine::LivePools;
use ag_messaging::{Bell, RunFeed};
use ag_store::Store;
use ag_telemetry::metrics::{AUDIT_LOST, DB_SIZE};
use ag_types::{Clock, SystemScope};
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{compose::Platform, serve, workspace_mark::WorkspaceMark};

/// How often pools and sizes are looked at.
const EVERY: Duration = Duration::from_secs(15);

/// Readiness of a runner.
pub(crate) struct RunnerProbe {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) feed: Arc<dyn RunFeed>,
    pub(crate) fit: Fitness,
    pub(crate) draining: CancellationToken,
}

#[async_trait]
impl Probe for RunnerProbe {
    async fn readiness(&self) -> Readiness {
        if self.draining.is_cancelled() {
            return Readiness::Draining;
        }
        match self.store.is_current(&SystemScope::new("readiness probe")).await {
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Readiness::Unready("unavailable")
            }
            Ok(false) => Readiness::Unready("schema"),
            Ok(true) if !self.fit.is_fit() => Readiness::Unready("workspaces"),
            Ok(true) => match self.bell.healthy() && self.feed.healthy() {
                true => Readiness::Ready,
                false => Readiness::Degraded,
            },
        }
    }
}

/// The operators' listener, if one is configured. It ends with its task.
pub(crate) async fn ops_listener(config: &Config, ops: Ops) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(port) = config.telemetry.metrics_port else {
        return Ok(None);
    };
    let listener = serve::bind(&config.telemetry.metrics_addr, port).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "metrics and health");
    }
    Ok(Some(tokio::spawn(async move {
        if let Err(error) = ag_api::serve_ops(ops, listener, CancellationToken::new()).await {
            tracing::error!(%error, "the metrics listener failed");
        }
    })))
}

/// Watches whose workspaces are mounted here. The embedded mode's own folder is nobody else's.
pub(crate) fn watch_workspaces(
    config: &Config,
    platform: &Platform,
    fit: &Fitness,
) -> Option<JoinHandle<()>> {
    if platform.backend.embedded && config.workspace.root.is_none() {
        return None;
    }
    let mark = WorkspaceMark {
        store: platform.deps.store.clone(),
        clock: platform.deps.clock.clone(),
        ids: platform.deps.ids.clone(),
        root: config.workspaces_root(),
    };
    // Not fit before the first look.
    fit.set(false);
    Some(tokio::spawn(mark.watch(fit.clone())))
}

/// What an API node looks at now and then, for its metrics.
pub(crate) struct Looking {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where runners are processes of their own.
    pub(crate) pools: Option<Arc<LivePools>>,
    /// File of the embedded store.
    pub(crate) database: Option<PathBuf>,
    pub(crate) audit: Option<Arc<QueuedAudit>>,
}

impl Looking {
    /// Looks until the process ends.
    pub(crate) async fn around(self) {
        loop {
            if let Some(pools) = &self.pools {
                pools.look(&*self.store, self.clock.now()).await;
            }
            if let Some(path) = &self.database {
                DB_SIZE.with([]).set(size(path).await as f64);
            }
            if let Some(audit) = &self.audit {
                AUDIT_LOST.with([]).absolute(audit.lost());
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Bytes of a SQLite file with its companions.
async fn size(path: &Path) -> u64 {
    let mut bytes = 0;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.to_owned().into_os_string();
        file.push(suffix);
        bytes += tokio::fs::metadata(file).await.map_or(0, |file| file.len());
    }
    bytes
}
