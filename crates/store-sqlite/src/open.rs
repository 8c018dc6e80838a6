//! Opening: the lock file, connections, migration, and what an unclean end left behind.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use ag_store::{Result, StoreError, leases::LeaseTable};
use ag_types::{Clock, Timestamp};

use crate::{
    db::{Access, Db},
    migrate::migrate,
    readers::Readers,
};

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
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
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
    /// Read-only connections that are kept open; more are opened, and closed again, while they are needed.
    pub readers: usize,
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
    /// The operating system gives no thread.
    #[error("cannot start the threads of the store: {0}")]
    Thread(std::io::Error),
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
    pub writer: Db,
    pub checkpointer: Db,
    pub readers: Readers,
    pub leases: LeaseTable,
}

/// Blocks: the file system, and a look at every head that is not at rest.
pub(crate) fn open(options: &SqliteOptions) -> std::result::Result<Opened, OpenError> {
    let lock = lock(&options.path)?;
    let file = options.path.join(DATABASE_FILE);
    // The writer's cache holds the hot pages of all indexes: what it evicts it writes twice.
    let writer = Db::open(&file, Access::Create, &settings(options.synchronous, 16_384))?;
    migrate(&writer)?;
    let leases = recover(&writer, options.clock.now())?;
    let checkpointer = Db::open(&file, Access::Write, &settings(options.synchronous, 512))?;
    // Hot index pages; the rest is the operating system's cache.
    let readers = Readers::new(file, settings(options.synchronous, 4_096), options.readers.max(1));
    Ok(Opened {
        lock,
        writer,
        checkpointer,
        readers,
        leases,
    })
}

fn lock(directory: &Path) -> std::result::Result<File, OpenError> {
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

/// Settings of a connection with `cache` KiB of pages. Checkpoints run on a connection of their own.
fn settings(synchronous: Synchronous, cache: u32) -> String {
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {level}; PRAGMA foreign_keys = ON; \
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864; \
         PRAGMA cache_size = -{cache}; PRAGMA temp_store = MEMORY;"
    )
}

/// Epochs above the parameter are those of the process that ended.
const CRASHED: &str = "UPDATE run_heads SET crashes = crashes + 1 \
     WHERE ready_at IS NOT NULL AND (crashes = 0 OR driven_epoch > ?)";

/// Reads which heads are not at rest. After an unclean end each of them counts a first crash of its holder: nobody
/// knows which of them were owned. A further one counts only against those whose drives that process had noted.
fn recover(db: &Db, now: Timestamp) -> Result<LeaseTable> {
    db.batch("BEGIN IMMEDIATE")?;
    let (clean, former) = db
        .first(
            "SELECT clean_shutdown, incarnation FROM store_state",
            &[],
            |row| Ok((row.flag()?, row.int()?)),
        )?
        .unwrap_or_default();
    if !clean {
        let heads = db.execute(CRASHED, &[former.saturating_mul(EPOCHS_PER_INCARNATION).into()])?;
        tracing::warn!(heads, "the store was not closed cleanly");
    }
    db.batch("UPDATE store_state SET clean_shutdown = 0, incarnation = incarnation + 1; COMMIT")?;

    let mut leases = LeaseTable::after_epoch((former + 1).saturating_mul(EPOCHS_PER_INCARNATION));
    let mut pools: Vec<Arc<str>> = Vec::new();
    db.all(
        "SELECT run_id, plane_id, pool, ready_at FROM run_heads WHERE ready_at IS NOT NULL",
        &[],
        |row| {
            let key = row.key()?;
            let name = row.text()?;
            let pool = match pools.iter().find(|pool| ***pool == *name) {
                Some(pool) => pool.clone(),
                None => {
                    pools.push(name.into());
                    name.into()
                }
            };
            leases.set_ready(key, &pool, row.opt_time()?.unwrap_or(now));
            Ok(())
        },
    )?;
    Ok(leases)
}
