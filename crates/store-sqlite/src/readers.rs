//! Read-only connections.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use ag_store::Result;
use parking_lot::Mutex;

use crate::{
    db::{Access, Db},
    store::closed,
};

/// Connections at rest. A read takes one, or opens one where all are busy, so no read waits for another; there are
/// never more than threads that read at the same time.
pub(crate) struct Readers {
    file: PathBuf,
    settings: String,
    keep: usize,
    idle: Mutex<Vec<Db>>,
    closed: AtomicBool,
}

impl Readers {
    pub(crate) fn new(file: PathBuf, settings: String, keep: usize) -> Self {
        Self {
            file,
            settings,
            keep,
            idle: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        }
    }

    /// Reads on this thread.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let idle = self.idle.lock().pop();
        let db = match idle {
            Some(db) => db,
            None => Db::open(&self.file, Access::Read, &self.settings)?,
        };
        let done = work(&db);
        let mut idle = self.idle.lock();
        if idle.len() < self.keep && !self.closed.load(Ordering::Acquire) {
            idle.push(db);
        }
        done
    }

    /// Closes what is at rest now, and the others when their read ends.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.idle.lock().clear();
    }
}
