//! The store: shared state of writer and readers.

use std::{collections::HashMap, sync::Arc};

use ag_store::{Result, StoreError, leases::LeaseTable};
use ag_types::{Clock, PlaneId, PlaneKey, TenantScope};
use parking_lot::{Mutex, RwLock};
use sqlx::{Sqlite, SqlitePool, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    checkpoint::Log,
    error::store_error,
    open::{OpenError, SqliteOptions, open},
    writer::{Answer, Job, Op, Writer},
};

/// Calls that may wait for the writer before senders are held back.
const QUEUE: usize = 4096;

/// What writer and readers share.
pub(crate) struct Shared {
    /// Owners and ready runs. Never held across an await.
    pub leases: Mutex<LeaseTable>,
    /// Planes seen so far; they are never renamed or deleted.
    pub planes: RwLock<KnownPlanes>,
    pub clock: Arc<dyn Clock>,
}

/// Planes by id and by names.
#[derive(Debug, Default)]
pub(crate) struct KnownPlanes {
    by_id: HashMap<PlaneId, TenantScope>,
    by_key: HashMap<PlaneKey, PlaneId>,
}

impl KnownPlanes {
    pub(crate) fn insert(&mut self, scope: &TenantScope) {
        self.by_key.insert(scope.key.clone(), scope.plane);
        self.by_id.insert(scope.plane, scope.clone());
    }
    pub(crate) fn by_id(&self, plane: PlaneId) -> Option<TenantScope> {
        self.by_id.get(&plane).cloned()
    }
    pub(crate) fn by_key(&self, key: &PlaneKey) -> Option<TenantScope> {
        self.by_id(*self.by_key.get(key)?)
    }
}

/// A store in one SQLite file.
pub struct SqliteStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    log: Arc<Log>,
}

impl SqliteStore {
    /// Opens the store of a data directory and starts its writer.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process owns the directory; else what the file system or the database say.
    pub async fn open(options: SqliteOptions) -> Result<Arc<Self>, OpenError> {
        let opened = open(&options).await?;
        let shared = Arc::new(Shared {
            leases: Mutex::new(opened.leases),
            planes: RwLock::default(),
            clock: options.clock.clone(),
        });
        shared.planes.write().insert(&TenantScope::root());
        let (jobs, queue) = mpsc::channel(QUEUE);
        let log = Arc::new(Log::new(options.checkpoint_bytes, options.wal_limit));
        let writer = Writer::new(opened.writer, opened.lock, shared.clone(), log.clone());
        let checkpoints = log.clone().run(opened.checkpointer);
        let tasks = vec![tokio::spawn(checkpoints), tokio::spawn(writer.run(queue))];
        Ok(Arc::new(Self {
            shared,
            readers: opened.readers,
            jobs,
            tasks: Mutex::new(tasks),
            log,
        }))
    }

    /// Writes what is queued, marks the end as clean, closes all connections and frees the directory. Later calls
    /// answer that the store is unavailable.
    ///
    /// # Errors
    /// When the mark cannot be written; the next opening then counts a crash.
    pub async fn close(&self) -> Result<()> {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        if tasks.is_empty() {
            return Ok(());
        }
        self.log.stop();
        self.readers.close().await;
        let marked = self.write(Op::Close).await;
        for task in tasks {
            let _ = task.await;
        }
        marked.map(|_| ())
    }

    /// Enqueues a write and waits for its transaction.
    pub(crate) async fn write(&self, op: Op) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { op, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// A read-only connection.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>> {
        self.readers.acquire().await.map_err(store_error)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // Without a clean close the writer ends when its queue closes; nothing else would end the checkpoints.
        self.log.stop();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}
