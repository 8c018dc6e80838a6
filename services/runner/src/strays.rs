//! Runs that this session owns and does not know of.
//!
//! The answer of a claim can be lost, and the claim itself can be carried out after everybody has given it up, by a
//! server that was cut off while it worked. The runs would be nobody's as long as the session lives. So with each
//! renewal, and with each beat after a claim has failed, the runner compares what it owns with what it knows, and gives
//! back what it did not know twice.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ag_telemetry::metrics::FOUND_BY_SWEEP;
use ag_types::RunKey;
use tokio::time::timeout;

use crate::{
    Runner,
    beat::{BEAT, answered},
    runner::{SCOPE, Session},
};

/// A run that this runner knows to hold, from its claim until it is given back.
pub(crate) struct Known {
    runner: Arc<Runner>,
    key: RunKey,
    epoch: i64,
}

impl Known {
    pub(crate) fn new(runner: &Arc<Runner>, key: RunKey, epoch: i64) -> Self {
        runner.known.lock().insert((key, epoch));
        Self {
            runner: runner.clone(),
            key,
            epoch,
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.runner.known.lock().remove(&(self.key, self.epoch));
    }
}

/// Runs with epochs that were not known at the last look.
pub(crate) type Suspects = HashSet<(RunKey, i64)>;

/// Beats that look after a claim has failed.
const DOUBTFUL_BEATS: u32 = 10;

impl Runner {
    /// A claim has failed, or so it seems: looks follow soon.
    pub(crate) fn doubt(&self) {
        self.doubtful_beats.store(DOUBTFUL_BEATS, Ordering::Relaxed);
    }

    /// Whether this beat should look for that reason.
    pub(crate) fn is_doubtful(&self) -> bool {
        let one_less = |beats: u32| beats.checked_sub(1);
        self.doubtful_beats
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    /// One look.
    pub(crate) async fn look_for_strays(&self, session: &Session, suspects: &mut Suspects) {
        // What a claim under way brings is not known yet; one that takes longer is looked at the next time.
        let Ok(_no_claim) = timeout(BEAT / 2, self.claiming.lock()).await else {
            return;
        };
        let held = match answered(self.deps.store.held_runs(&SCOPE, session.id)).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "cannot compare the runs held with those known");
                return;
            }
        };
        let unknown: Suspects = {
            let known = self.known.lock();
            held.into_iter().filter(|run| !known.contains(run)).collect()
        };
        for (key, epoch) in unknown.intersection(suspects) {
            tracing::warn!(run.id = %key.run, epoch, "giving back a run whose claim was never answered");
            let released = answered(self.deps.store.release(&SCOPE, session.id, *key, *epoch)).await;
            match released {
                Ok(true) => {
                    FOUND_BY_SWEEP.with(["claim"]).increment(1);
                    self.deps.bell.ring(&self.options.pool, &[*key]).await;
                }
                Ok(false) => {}
                // Still unknown at the next look.
                Err(error) => tracing::warn!(%error, "a run could not be given back yet"),
            }
        }
        *suspects = unknown;
    }
}
