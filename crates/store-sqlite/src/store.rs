//! The store: shared state of writer and readers.

use std::{collections::HashMap, sync::Arc, thread};

use ag_store::{Result, StoreError, leases::LeaseTable};
use ag_types::{Clock, PlaneId, PlaneKey, TenantScope};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};

use crate::{
    checkpoint::Log,
    db::Db,
    open::{OpenError, SqliteOptions, open},
    readers::Readers,
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
    readers: Arc<Readers>,
    /// Absent while the store is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    log: Arc<Log>,
}

impl SqliteStore {
    /// Opens the store of a data directory and starts its writer.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process owns the directory; else what the file system or the database say.
    pub async fn open(options: SqliteOptions) -> std::result::Result<Arc<Self>, OpenError> {
        match tokio::task::spawn_blocking(move || Self::open_blocking(&options)).await {
            Ok(opened) => opened,
            Err(error) => Err(StoreError::Internal(error.to_string()).into()),
        }
    }

    fn open_blocking(options: &SqliteOptions) -> std::result::Result<Arc<Self>, OpenError> {
        let opened = open(options)?;
        let shared = Arc::new(Shared {
            leases: Mutex::new(opened.leases),
            planes: RwLock::default(),
            clock: options.clock.clone(),
        });
        shared.planes.write().insert(&TenantScope::root());
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (log, rung) = Log::new(options.checkpoint_bytes, options.wal_limit);
        let log = Arc::new(log);
        let writer = Writer::new(opened.writer, opened.lock, shared.clone(), log.clone());
        let (checkpoints, checkpointer) = (log.clone(), opened.checkpointer);
        let threads = vec![
            spawn("store-checkpoint", move || checkpoints.run(&checkpointer, &rung))?,
            spawn("store-writer", move || writer.run(queue))?,
        ];
        Ok(Arc::new(Self {
            shared,
            readers: Arc::new(opened.readers),
            jobs: Some(jobs),
            threads: Mutex::new(threads),
            log,
        }))
    }

    /// Writes what is queued, marks the end as clean, closes all connections and frees the directory. Later calls
    /// answer that the store is unavailable.
    ///
    /// # Errors
    /// When the mark cannot be written; the next opening then counts a crash.
    pub async fn close(&self) -> Result<()> {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return Ok(());
        }
        self.log.stop();
        self.readers.close();
        let marked = self.write(Op::Close).await;
        let joined = tokio::task::spawn_blocking(|| {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
        marked.map(|_| ())
    }

    /// Enqueues a write and waits for its transaction.
    pub(crate) async fn write(&self, op: Op) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(Job { op, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// A read by key, of few rows: on this thread.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        self.readers.read(work)
    }

    /// A read that may look at many rows: beside the threads that serve requests.
    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        match tokio::task::spawn_blocking(move || readers.read(work)).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Internal(error.to_string())),
        }
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::result::Result<thread::JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(OpenError::Thread)
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // Without a clean close the writer ends when its queue closes, after what it is writing; then the directory
        // is free.
        self.log.stop();
        self.jobs.take();
        for thread in std::mem::take(self.threads.get_mut()) {
            let _ = thread.join();
        }
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}
