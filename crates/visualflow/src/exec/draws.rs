//! Counts the random values that a step draws.
//!
//! Within one step time stands still and `vars` do not change while inputs are resolved, so two readings of a pure
//! value can only differ if its evaluation drew from the generator. Watching that tells exactly which values may be
//! kept for the next reader (spec §4.1): a diamond over `get_var` is linear, one over `random_int` is not.

use std::sync::atomic::{AtomicU64, Ordering};

use ag_kernel::StepEnv;
use ag_types::{IdGen, Timestamp};

/// A generator that counts.
pub(super) struct Draws<'a> {
    inner: &'a dyn IdGen,
    count: AtomicU64,
}

impl<'a> Draws<'a> {
    pub(super) fn new(inner: &'a dyn IdGen) -> Self {
        Self {
            inner,
            count: AtomicU64::new(0),
        }
    }

    /// Values drawn so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The environment with this generator in it.
    pub(super) fn watch<'s>(&'s self, env: &'s StepEnv<'_>) -> StepEnv<'s> {
        let StepEnv {
            now,
            zone,
            locale,
            ids: _,
            clock,
            host,
            tools,
        } = env;
        let now: Timestamp = *now;
        StepEnv {
            now,
            zone,
            locale,
            ids: self,
            clock: *clock,
            host,
            tools: *tools,
        }
    }

    fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl IdGen for Draws<'_> {
    fn uuid(&self) -> uuid::Uuid {
        self.note();
        self.inner.uuid()
    }
    fn random(&self) -> u64 {
        self.note();
        self.inner.random()
    }
}
