//! The runs that this runner holds, and how to reach their drives.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ag_engine::CancelSignal;
use ag_types::RunKey;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A run that this runner cannot execute is looked at again after this time: its flow or this runner's peers may have
/// changed, and nobody else may be there.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// A run that waits for its turn to go alone is looked at again after this time, whoever goes before it.
const TURN: Duration = Duration::from_secs(5);
/// Runs that are called when one has gone alone.
const NEXT_TURNS: usize = 4;
/// Refused runs that are remembered.
const MAX_REFUSED: usize = 10_000;

/// Held runs.
#[derive(Debug, Default)]
pub(crate) struct Board {
    runs: Mutex<HashMap<RunKey, CancelSignal>>,
    /// Panics of drives since the last good end of one. The store counts crashes of processes, and a panic is none;
    /// for a run both say the same: whoever holds it falls over.
    panics: Mutex<HashMap<RunKey, i16>>,
    /// Runs that were handed back because others must execute them, and until when they are left alone.
    refused: Mutex<HashMap<RunKey, Instant>>,
    /// Runs that wait for their turn to go alone, with their pools.
    turns: Mutex<VecDeque<(RunKey, Arc<str>)>>,
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

    /// Leaves a run to others for a while.
    pub(crate) fn refuse(&self, key: RunKey) {
        let now = Instant::now();
        let mut refused = self.refused.lock();
        if refused.len() >= MAX_REFUSED {
            refused.retain(|_, until| *until > now);
        }
        if refused.len() < MAX_REFUSED {
            refused.insert(key, now + REFUSED_FOR);
        }
    }

    /// A run that has to go alone waits until others have gone.
    pub(crate) fn wait_for_turn(&self, key: RunKey, pool: &Arc<str>) {
        self.refused.lock().insert(key, Instant::now() + TURN);
        let mut turns = self.turns.lock();
        if turns.len() < MAX_REFUSED && turns.iter().all(|(known, _)| *known != key) {
            turns.push_back((key, pool.clone()));
        }
    }

    /// Runs whose turn it is to go alone; more than one, because others may have taken some.
    pub(crate) fn next_turns(&self) -> Vec<(RunKey, Arc<str>)> {
        let mut turns = self.turns.lock();
        let n = turns.len().min(NEXT_TURNS);
        let next: Vec<_> = turns.drain(..n).collect();
        let mut refused = self.refused.lock();
        for (key, _) in &next {
            refused.remove(key);
        }
        next
    }

    /// Takes out what is left to others at present; returns how many those were.
    pub(crate) fn drop_refused(&self, keys: &mut Vec<RunKey>) -> usize {
        let mut refused = self.refused.lock();
        if refused.is_empty() {
            return 0;
        }
        let (now, before) = (Instant::now(), keys.len());
        keys.retain(|key| match refused.get(key) {
            Some(until) if *until > now => false,
            Some(_) => {
                refused.remove(key);
                true
            }
            None => true,
        });
        before - keys.len()
    }

    /// Runs left to others.
    pub(crate) fn refused(&self) -> usize {
        self.refused.lock().len()
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.lock().len()
    }
}
