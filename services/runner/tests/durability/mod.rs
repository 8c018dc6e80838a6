//! What must hold when processes die, handlers fail and many hands act at once.

mod batch;
mod crash;
mod drain;
mod fairness;
mod hosts;
mod memory;
mod poison;
mod pools;
mod races;
mod script;
mod trees;
mod unheard;

use std::sync::Arc;

use ag_artifacts::MemoryBlobs;
use ag_runner::RunnerOptions;
use ag_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use serde_json::Value;

use crate::support::{Embedded, Setup, model::Model};

/// Scratch directory, blobs and a fake model, which outlive gateways.
struct Place {
    dir: tempfile::TempDir,
    blobs: Arc<MemoryBlobs>,
    model: Arc<Model>,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("scratch"),
            blobs: Arc::default(),
            model: Arc::default(),
        }
    }

    fn setup(&self) -> Setup {
        Setup {
            model: Some(self.model.clone()),
            ..Setup::default()
        }
    }

    /// Opens the store; the death of a process is simulated, that of the machine is not, so commits need no sync.
    async fn store(&self) -> Arc<SqliteStore> {
        let options = SqliteOptions {
            synchronous: Synchronous::Normal,
            ..SqliteOptions::new(self.dir.path())
        };
        SqliteStore::open(options).await.expect("open store")
    }

    async fn gateway(&self, setup: Setup) -> Embedded {
        Embedded::over(self.store().await, self.blobs.clone(), setup)
            .await
            .expect("open session")
    }

    /// A gateway with one flow, `main`, and default settings.
    async fn with_flow(&self, flow: Value) -> Embedded {
        let gateway = self.gateway(self.setup()).await;
        gateway.install(&[("main", flow)]).await;
        gateway
    }
}

fn with_slots(slots: usize) -> RunnerOptions {
    RunnerOptions {
        slots,
        ..RunnerOptions::default()
    }
}

/// A runtime of one gateway; dropping it is the death of its process.
fn process() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime")
}
