//! Opening: the lock file, connections, migration, and what an unclean end left behind.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use ag_store::{StoreError, leases::LeaseTable};
use ag_types::{Clock, Timestamp};
use futures::TryStreamExt as _;
use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{error::store_error, migrate::migrate, rows::Cursor};

/// File that the owning process keeps locked; the kernel frees the lock when the process dies.
const LOCK_FILE: &str = "gateway.lock";
/// The database.
const DATABASE_FILE: &str = "gateway.sqlite3";

/// Epochs never regress, not even those that a process gave out and never committed: each opening begins above all
/// that the former one can have used.
const EPOCHS_PER_INCARNATION: i64 = 1 << 32;

/// How far a commit goes before it is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Survives power loss: one sync per shared transaction.
    #[default]
    Full,
    /// Survives the death of the process; power loss may take the newest transactions, never the integrity.
    Normal,
}

impl FromStr for Synchronous {
    type Err = OpenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err(OpenError::Synchronous(text.to_owned())),
        }
    }
}

/// Where and how to open a store.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Data directory; created if absent. One process owns it.
    pub path: PathBuf,
    /// Durability of commits.
    pub synchronous: Synchronous,
    /// Time of leases, `ready_at` and timers.
    pub clock: Arc<dyn Clock>,
    /// Read-only connections.
    pub readers: u32,
    /// Growth of the write-ahead log, in bytes, between two passive checkpoints.
    pub checkpoint_bytes: u64,
    /// Length of the write-ahead log, in bytes, from which it is emptied even if writers have to wait for it.
    pub wal_limit: u64,
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("path", &self.path)
            .field("synchronous", &self.synchronous)
            .finish()
    }
}

impl SqliteOptions {
    /// Full durability, the machine's clock, four readers, a checkpoint every 4 MiB, at most 64 MiB of log.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            clock: Arc::new(ag_types::SystemClock),
            readers: 4,
            checkpoint_bytes: 4 * 1024 * 1024,
            wal_limit: 64 * 1024 * 1024,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns the data directory.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory or its lock file cannot be made.
    #[error("cannot prepare the data directory {}: {source}", .path.display())]
    Directory {
        /// Directory.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Not a durability level.
    #[error("unknown durability '{0}', expected 'full' or 'normal'")]
    Synchronous(String),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What `open` hands to the store.
pub(crate) struct Opened {
    pub lock: File,
    pub writer: SqliteConnection,
    pub checkpointer: SqliteConnection,
    pub readers: SqlitePool,
    pub leases: LeaseTable,
}

pub(crate) async fn open(options: &SqliteOptions) -> Result<Opened, OpenError> {
    let lock = lock(&options.path)?;
    let file = options.path.join(DATABASE_FILE);
    let writable = connect_options(&file, options.synchronous);
    let mut writer = writable
        .clone()
        .create_if_missing(true)
        .connect()
        .await
        .map_err(store_error)?;
    migrate(&mut writer).await?;
    let leases = recover(&mut writer, options.clock.now()).await?;
    let checkpointer = writable
        .clone()
        .pragma("cache_size", "-512")
        .connect()
        .await
        .map_err(store_error)?;
    // 4 MiB of page cache per reader: hot index pages; the rest is the operating system's cache.
    let reader = connect_options(&file, options.synchronous)
        .read_only(true)
        .pragma("cache_size", "-4096");
    let readers = SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(reader);
    Ok(Opened {
        lock,
        writer,
        checkpointer,
        readers,
        leases,
    })
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn connect_options(file: &Path, synchronous: Synchronous) -> SqliteConnectOptions {
    let level = match synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(level)
        .foreign_keys(true)
        // Nobody competes with the writer for long: this bounds how long a forced checkpoint waits for slow readers.
        .busy_timeout(Duration::from_millis(500))
        // Checkpoints run on a connection of their own.
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        // Each connection is used by one task at a time; the mutexes of SQLite would protect nothing.
        .serialized(false)
        .disable_statement_logging()
}

/// Reads which heads are not at rest. After an unclean end each of them counts one crash of its holder: nobody knows
/// which of them were owned.
async fn recover(conn: &mut SqliteConnection, now: Timestamp) -> Result<LeaseTable, StoreError> {
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    let (clean, former): (i64, i64) = sqlx::query_as("SELECT clean_shutdown, incarnation FROM store_state")
        .fetch_one(&mut *conn)
        .await
        .map_err(store_error)?;
    if clean == 0 {
        let heads = sqlx::query("UPDATE run_heads SET crashes = crashes + 1 WHERE ready_at IS NOT NULL")
            .execute(&mut *conn)
            .await
            .map_err(store_error)?;
        tracing::warn!(heads = heads.rows_affected(), "the store was not closed cleanly");
    }
    sqlx::query("UPDATE store_state SET clean_shutdown = 0, incarnation = incarnation + 1")
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;
    sqlx::raw_sql("COMMIT")
        .execute(&mut *conn)
        .await
        .map_err(store_error)?;

    let mut leases = LeaseTable::after_epoch((former + 1).saturating_mul(EPOCHS_PER_INCARNATION));
    let mut rows =
        sqlx::query("SELECT run_id, plane_id, pool, ready_at FROM run_heads WHERE ready_at IS NOT NULL")
            .fetch(&mut *conn);
    let mut pools: Vec<Arc<str>> = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(store_error)? {
        let mut cursor = Cursor::new(&row);
        let key = cursor.key()?;
        let name = cursor.text()?;
        let pool = match pools.iter().find(|pool| ***pool == *name) {
            Some(pool) => pool.clone(),
            None => {
                pools.push(name.into());
                name.into()
            }
        };
        leases.set_ready(key, &pool, cursor.opt_time()?.unwrap_or(now));
    }
    Ok(leases)
}
