//! From hints to held runs.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ag_engine::{Ended, Held, Signals, Stop};
use ag_kernel::EffectRequest;
use ag_store::{CandidateQuery, ClaimedRun, StoreError};
use ag_types::{PlaneId, RunKey};
use futures::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Runner,
    runner::{SCOPE, Session},
};

/// Full look for candidates even when nothing rings.
const FULL_LOOK: Duration = Duration::from_secs(5);
/// The same while the bell is known to lose hints.
const DEGRADED_LOOK: Duration = Duration::from_millis(250);
/// Most runs of one claim.
const MAX_CLAIM: usize = 64;

impl Runner {
    pub(crate) async fn claim_loop(self: &Arc<Self>, session: &Session) {
        let mut bell = self.deps.bell.listen(self.options.pool.clone()).await;
        let mut last_look = tokio::time::Instant::now();
        loop {
            // A slot first: hints are taken only when there is room for them.
            let Ok(permit) = self.slots.clone().acquire_owned().await else {
                return;
            };
            if self.drain.is_cancelled() {
                return;
            }
            let free = (self.slots.available_permits() + 1).min(MAX_CLAIM);
            let keys = if self.look_wanted.swap(false, Ordering::AcqRel) {
                Vec::new()
            } else {
                let pause = if self.deps.bell.healthy() {
                    FULL_LOOK
                } else {
                    DEGRADED_LOOK
                };
                let deadline = last_look + jittered(pause);
                tokio::select! {
                    keys = bell.next(free) => keys,
                    () = tokio::time::sleep_until(deadline) => Vec::new(),
                    () = self.look.notified() => Vec::new(),
                    () = self.drain.cancelled() => return,
                }
            };
            let looked = keys.is_empty();
            let keys = match looked {
                true => {
                    last_look = tokio::time::Instant::now();
                    self.candidates(free).await
                }
                false => keys,
            };
            if keys.is_empty() {
                continue;
            }
            let asked = keys.len();
            match self.claim(session, keys, permit).await {
                // A full page of candidates says that there may be more.
                Ok(claimed) => {
                    if looked && asked >= free && claimed > 0 {
                        self.look_wanted.store(true, Ordering::Release);
                    }
                }
                Err(StoreError::SessionLost) => {
                    session.abort.cancel();
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "claim failed");
                    self.look_wanted.store(true, Ordering::Release);
                    tokio::time::sleep(jittered(DEGRADED_LOOK)).await;
                }
            }
        }
    }

    async fn candidates(&self, limit: usize) -> Vec<RunKey> {
        let after_plane = PlaneId((self.deps.ids.random() % 1_024) as i32);
        let query = CandidateQuery {
            pool: self.options.pool.clone(),
            limit,
            after_plane,
        };
        match self.deps.store.candidates(&SCOPE, query).await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "cannot look for candidates");
                Vec::new()
            }
        }
    }

    /// Claims runs and spawns their drives; returns how many were obtained.
    async fn claim(
        self: &Arc<Self>,
        session: &Session,
        keys: Vec<RunKey>,
        permit: OwnedSemaphorePermit,
    ) -> Result<usize, StoreError> {
        let claim = self.deps.store.claim(&SCOPE, session.id, &keys, &[]).await?;
        let mut permit = Some(permit);
        let count = claim.runs.len();
        for claimed in claim.runs {
            let permit = match permit.take() {
                Some(permit) => permit,
                // Slots were free when the hints were taken; a start of this process may have used them since.
                None => match self.slots.clone().acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return Ok(count),
                },
            };
            self.spawn_claimed(session, claimed, permit);
        }
        Ok(count)
    }

    fn spawn_claimed(
        self: &Arc<Self>,
        session: &Session,
        mut claimed: ClaimedRun,
        permit: OwnedSemaphorePermit,
    ) {
        let (runner, session) = (self.clone(), session.clone());
        self.tasks.spawn(async move {
            let grip = Grip {
                key: claimed.key,
                epoch: claimed.epoch,
                pool: claimed.pool.clone(),
            };
            claimed.crashes = claimed.crashes.saturating_add(runner.board.panics(grip.key));
            let suspect = claimed.crashes >= 2;
            let _alone = match suspect {
                true => runner.suspects.clone().acquire_owned().await.ok(),
                false => None,
            };
            match runner.hold(&session, claimed).await {
                Ok(held) => runner.drive(&session, held, None, permit).await,
                Err(error) => {
                    tracing::error!(run.id = %grip.key.run, %error, "a claimed run cannot be read");
                    // Damaged state does not heal by itself; an unavailable store may.
                    let pause = match error {
                        StoreError::Corrupt { .. } => FULL_LOOK,
                        _ => DEGRADED_LOOK,
                    };
                    runner.release(&session, &grip, pause).await;
                }
            }
        });
    }

    async fn hold(&self, session: &Session, claimed: ClaimedRun) -> Result<Held, StoreError> {
        let scope = self
            .deps
            .store
            .plane_by_id(&SCOPE, claimed.key.plane)
            .await?
            .ok_or(StoreError::Corrupt {
                what: "plane",
                detail: format!("{} is unknown", claimed.key.plane.0),
            })?;
        let max_inline = self.deps.limits.max_inline_bytes;
        Held::from_claim(claimed, scope, session.id, max_inline, self.deps.ids.clone())
    }

    /// Drives a held run to its rest. The slot is free afterwards.
    pub(crate) async fn drive(
        &self,
        session: &Session,
        mut held: Held,
        pending: Option<EffectRequest>,
        _permit: OwnedSemaphorePermit,
    ) {
        let key = held.key;
        let grip = Grip {
            key,
            epoch: held.epoch,
            pool: held.pool.clone(),
        };
        let cancel = self.board.add(key);
        let signals = Signals {
            abort: session.abort.clone(),
            cancel,
            drain: self.drain.clone(),
        };
        // A drive that panics loses its work in memory, never the run: what is stored is its last commit.
        let drive = AssertUnwindSafe(self.deps.drive(&mut held, &signals, pending)).catch_unwind();
        let ended = drive.await;
        drop(held);
        self.board.remove(key);
        let Ok(ended) = ended else {
            self.board.note_panic(key);
            tracing::error!(run.id = %key.run, crashes = self.board.panics(key), "the drive of a run panicked");
            self.release(session, &grip, DEGRADED_LOOK).await;
            return;
        };
        if ended.is_ok() {
            self.board.forget_panics(key);
        }
        match ended {
            Ok(Ended::Resting { wake_at: Some(due) }) => self.timers.add(due),
            Ok(_) => {}
            Err(Stop::Lost) => {
                tracing::warn!(run.id = %key.run, epoch = grip.epoch, "authority lost, work dropped");
            }
            Err(Stop::Store(StoreError::SessionLost)) => session.abort.cancel(),
            Err(error) => {
                tracing::error!(run.id = %key.run, %error, "drive stopped");
                self.release(session, &grip, DEGRADED_LOOK).await;
            }
        }
    }

    /// Gives a run back after a failure, so that it is tried again. As long as the store fails too this goes on: a run
    /// that a living session holds and nobody drives would be lost until the session ends.
    async fn release(&self, session: &Session, grip: &Grip, first: Duration) {
        let mut pause = first;
        loop {
            tokio::select! {
                () = session.abort.cancelled() => return,
                () = tokio::time::sleep(jittered(pause)) => {}
            }
            let released = self
                .deps
                .store
                .release(&SCOPE, session.id, grip.key, grip.epoch)
                .await;
            match released {
                Ok(true) => return self.deps.bell.ring(&grip.pool, &[grip.key]).await,
                Ok(false) => return,
                Err(StoreError::SessionLost) => return session.abort.cancel(),
                Err(error) => {
                    tracing::error!(run.id = %grip.key.run, %error, "the run could not be given back yet");
                    pause = (pause * 2).min(FULL_LOOK);
                }
            }
        }
    }
}

/// What it takes to give a run back.
struct Grip {
    key: RunKey,
    epoch: i64,
    pool: Arc<str>,
}

/// A duration ± 25 %, so that runners do not look all at once.
pub(crate) fn jittered(base: Duration) -> Duration {
    let spread = base / 2;
    let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
    base - spread / 2 + spread.mul_f64((random % 1_000) as f64 / 1_000.0)
}
