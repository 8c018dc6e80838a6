//! The runs that this runner holds, and how to reach their drives.

use std::collections::HashMap;

use ag_engine::CancelSignal;
use ag_types::RunKey;
use parking_lot::Mutex;

/// Held runs.
#[derive(Debug, Default)]
pub(crate) struct Board {
    runs: Mutex<HashMap<RunKey, CancelSignal>>,
    /// Panics of drives since the last good end of one. The store counts crashes of processes, and a panic is none;
    /// for a run both say the same: whoever holds it falls over.
    panics: Mutex<HashMap<RunKey, i16>>,
}

impl Board {
    pub(crate) fn add(&self, key: RunKey) -> CancelSignal {
        let signal = CancelSignal::default();
        self.runs.lock().insert(key, signal.clone());
        signal
    }

    pub(crate) fn remove(&self, key: RunKey) {
        self.runs.lock().remove(&key);
    }

    /// Tells the drive of a run to read its mail; a run that is not held here is somebody else's business.
    pub(crate) fn cancel(&self, key: RunKey) {
        if let Some(signal) = self.runs.lock().get(&key) {
            signal.fire();
        }
    }

    pub(crate) fn note_panic(&self, key: RunKey) {
        let mut panics = self.panics.lock();
        let count = panics.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn panics(&self, key: RunKey) -> i16 {
        self.panics.lock().get(&key).copied().unwrap_or(0)
    }

    pub(crate) fn forget_panics(&self, key: RunKey) {
        self.panics.lock().remove(&key);
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.lock().len()
    }
}
