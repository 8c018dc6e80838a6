//! From hints to held runs.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ag_engine::{Ended, Held, Signals, Stop};
use ag_kernel::EffectRequest;
use ag_store::{CandidateQuery, ClaimedRun, StoreError};
use ag_telemetry::{
    metrics::{CLAIMS, FOUND_BY_SWEEP, HANDED_BACK, TICK_DURATION, TICKS, store_operation},
    traces,
};
use ag_types::{PlaneId, RunKey};
use futures::FutureExt as _;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::Instrument as _;

use crate::{
    Runner,
    cause::Cause,
    runner::{SCOPE, Session},
    strays::Known,
};

/// Full look for candidates even when nothing rings.
const FULL_LOOK: Duration = Duration::from_secs(5);
/// The same while the bell is known to lose hints.
const DEGRADED_LOOK: Duration = Duration::from_millis(250);
/// The same after a look that brought something: where there was one, others follow.
const BUSY_LOOK: Duration = Duration::from_millis(60);
/// How long a look's answer is used.
const PAGE_FRESH: Duration = Duration::from_secs(1);
/// Crashes of its holders from which on a run goes alone.
const SUSPECT: i16 = 2;
/// Most runs of one claim.
const MAX_CLAIM: usize = 64;
/// Most runs left to others that a look skips.
const MAX_SKIPPED: usize = 1_000;

impl Runner {
    pub(crate) async fn claim_loop(self: &Arc<Self>, session: &Session) {
        let mut bell = self.deps.bell.listen(self.options.pool.clone()).await;
        let mut last_look = Instant::now();
        // Whether the store is asked next, because more is known to be there than hints say.
        let mut more = false;
        let mut page = Page::default();
        // Whether the last look brought something.
        let mut found = false;
        loop {
            // A slot first: hints are taken only when there is room for them.
            let Ok(permit) = self.slots.clone().acquire_owned().await else {
                return;
            };
            if self.drain.is_cancelled() {
                return;
            }
            let free = (self.slots.available_permits() + 1).min(MAX_CLAIM);
            let mut unannounced = self.look_wanted.swap(false, Ordering::AcqRel);
            let mut keys = page.take(free);
            let mut looked = !keys.is_empty();
            let mut traced = HashMap::new();
            if keys.is_empty() && !unannounced && !std::mem::take(&mut more) {
                let pause = match self.deps.bell.healthy() {
                    true => FULL_LOOK,
                    false if found => BUSY_LOOK,
                    false => DEGRADED_LOOK,
                };
                let deadline = last_look + jittered(pause);
                tokio::select! {
                    hints = bell.next(free) => {
                        traced = hints.iter().filter_map(|hint| Some((hint.key, hint.trace.clone()?))).collect();
                        keys = hints.into_iter().map(|hint| hint.key).collect();
                        // Hints come in the order of their ringing. As long as they fill every free slot, one plane
                        // may have rung them all, so next the store is asked, which is fair.
                        more = keys.len() >= free;
                        if self.board.drop_refused(&mut keys) > 0 && keys.is_empty() {
                            continue;
                        }
                    }
                    () = tokio::time::sleep_until(deadline) => unannounced = true,
                    () = self.look.notified() => {}
                    () = self.drain.cancelled() => return,
                }
            }
            if keys.is_empty() {
                looked = true;
                last_look = Instant::now();
                page.fill(self.candidates(free.max(MAX_CLAIM)).await);
                keys = page.take(free);
            }
            if looked {
                found = !keys.is_empty();
            }
            if keys.is_empty() {
                continue;
            }
            let asked = keys.len();
            match self.claim(session, keys, &traced, permit).await {
                // A full page of candidates says that there may be more.
                Ok(claimed) => {
                    more |= looked && asked >= free && claimed > 0;
                    if claimed == 0 {
                        // Somebody else is working on the same ones.
                        page.keys.clear();
                        found = false;
                    }
                    if looked && unannounced {
                        FOUND_BY_SWEEP.with(["ready"]).increment(claimed as u64);
                    }
                }
                Err(StoreError::SessionLost) => {
                    session.abort.cancel();
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "claim failed");
                    self.doubt();
                    more = true;
                    tokio::time::sleep(jittered(DEGRADED_LOOK)).await;
                }
            }
        }
    }

    async fn candidates(&self, limit: usize) -> Vec<RunKey> {
        let mut keys = self.candidates_of(self.options.pool.clone(), limit).await;
        if self.place.is_alone() && keys.len() < limit {
            // Runs that another process, or another configuration, has put into pools that exist no more.
            for pool in self.place.live().busy() {
                if pool != self.options.pool {
                    keys.extend(self.candidates_of(pool, limit - keys.len()).await);
                }
            }
        }
        keys
    }

    async fn candidates_of(&self, pool: Arc<str>, limit: usize) -> Vec<RunKey> {
        let after_plane = PlaneId((self.deps.ids.random() % 1_024) as i32);
        let query = CandidateQuery {
            pool,
            // Runs that are left to others must not hide those behind them.
            limit: limit + self.board.refused().min(MAX_SKIPPED),
            after_plane,
        };
        match self.deps.store.candidates(&SCOPE, query).await {
            Ok(mut keys) => {
                self.board.drop_refused(&mut keys);
                keys.truncate(limit);
                keys
            }
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
        traced: &HashMap<RunKey, Arc<str>>,
        permit: OwnedSemaphorePermit,
    ) -> Result<usize, StoreError> {
        let asked = keys.len();
        // Until what is claimed is on the board, nobody may take it for lost.
        let _claiming = self.claiming.lock().await;
        let mut causes = Cause::of_wake_ups(&keys, traced);
        // What nobody traces is claimed together; the rest is each a part of the trace that led here.
        let span = match causes.len() < asked {
            true => {
                tracing::info_span!(parent: None, "claim", asked = asked as i64, claimed = tracing::field::Empty)
            }
            false => tracing::Span::none(),
        };
        let claim = store_operation("claim", self.deps.store.claim(&SCOPE, session.id, &keys, &[]))
            .instrument(span.clone())
            .await?;
        let mut permit = Some(permit);
        let count = claim.runs.len();
        if count > 0 {
            ag_failpoints::hit("lease.acquired");
        }
        span.record("claimed", count as i64);
        CLAIMS.with(["claimed"]).increment(count as u64);
        CLAIMS
            .with(["taken"])
            .increment((asked - count.min(asked)) as u64);
        let traceparent = span.in_scope(traces::traceparent);
        let going = self.one_suspect(session, claim.runs).await;
        self.note_driven(session, &going).await?;
        for (claimed, alone) in going {
            let permit = match permit.take() {
                Some(permit) => permit,
                // Slots were free when the hints were taken; a start of this process may have used them since.
                None => match self.slots.clone().acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return Ok(count),
                },
            };
            let cause = causes.remove(&claimed.key);
            let cause = cause.unwrap_or_else(|| Cause::Found(traceparent.clone()));
            cause.claimed();
            self.spawn_claimed(session, claimed, permit, alone, cause);
        }
        Ok(count)
    }

    /// Runs whose holders crashed twice go one at a time, so that the third crash names the culprit. Those that have to
    /// wait are given back before the first one begins.
    async fn one_suspect(
        &self,
        session: &Session,
        runs: Vec<ClaimedRun>,
    ) -> Vec<(ClaimedRun, Option<OwnedSemaphorePermit>)> {
        let mut going = Vec::with_capacity(runs.len());
        for mut claimed in runs {
            claimed.crashes = claimed.crashes.saturating_add(self.board.panics(claimed.key));
            let alone = match claimed.crashes >= SUSPECT {
                false => None,
                true => match self.suspects.clone().try_acquire_owned() {
                    Ok(alone) => Some(alone),
                    Err(_) => {
                        let grip = Grip {
                            key: claimed.key,
                            epoch: claimed.epoch,
                            pool: claimed.pool,
                        };
                        self.board.wait_for_turn(grip.key, &grip.pool);
                        self.give_back(session, &grip).await;
                        continue;
                    }
                },
            };
            going.push((claimed, alone));
        }
        going
    }

    /// Notes which runs whose holders crashed before are driven here from now on: if this process ends, it counts
    /// against them, and not against those that wait for their turn, here or in the store.
    async fn note_driven(
        &self,
        session: &Session,
        going: &[(ClaimedRun, Option<OwnedSemaphorePermit>)],
    ) -> Result<(), StoreError> {
        let crashed = going.iter().filter(|(run, _)| run.crashes > 0);
        let runs: Vec<_> = crashed.map(|(run, _)| (run.key, run.epoch)).collect();
        if runs.is_empty() {
            return Ok(());
        }
        // Runs of a claim that fails here are nobody's until they are found as strays.
        self.deps.store.note_driven(&SCOPE, session.id, &runs).await
    }

    /// Gives a run back without telling anybody: it comes when it is its turn, or when another runner looks for it.
    async fn give_back(&self, session: &Session, grip: &Grip) {
        let release = self.deps.store.release(&SCOPE, session.id, grip.key, grip.epoch);
        if let Err(error) = release.await {
            // What is held and not driven is given back by whoever finds it, at the latest when the session ends.
            tracing::warn!(run.id = %grip.key.run, %error, "a run that must wait for its turn could not be given back");
        }
    }

    fn spawn_claimed(
        self: &Arc<Self>,
        session: &Session,
        claimed: ClaimedRun,
        permit: OwnedSemaphorePermit,
        alone: Option<OwnedSemaphorePermit>,
        cause: Cause,
    ) {
        let (runner, session) = (self.clone(), session.clone());
        let known = Known::new(self, claimed.key, claimed.epoch);
        self.tasks.spawn(Box::pin(async move {
            let _known = known;
            let grip = Grip {
                key: claimed.key,
                epoch: claimed.epoch,
                pool: claimed.pool.clone(),
            };
            match runner.hold(&session, claimed).await {
                Ok(held) => runner.drive(&session, held, None, permit, cause).await,
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
            if alone.is_some() {
                drop(alone);
                for (key, pool) in runner.board.next_turns() {
                    runner.deps.bell.ring(&pool, &[key]).await;
                }
            }
        }));
    }

    async fn hold(&self, session: &Session, claimed: ClaimedRun) -> Result<Box<Held>, StoreError> {
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
        Held::from_claim(claimed, scope, session.id, max_inline, self.deps.ids.clone()).map(Box::new)
    }

    /// Drives a held run to its rest. The slot is free afterwards.
    pub(crate) async fn drive(
        &self,
        session: &Session,
        mut held: Box<Held>,
        pending: Option<EffectRequest>,
        _permit: OwnedSemaphorePermit,
        cause: Cause,
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
            place: self.place.clone(),
        };
        // A drive that panics loses its work in memory, never the run: what is stored is its last commit.
        let span = tracing::info_span!(
            parent: cause.parent(),
            "tick",
            run.id = %key.run,
            workflow.id = &*held.tick.run.head.workflow_id,
            pool = &*self.options.pool,
            epoch = grip.epoch,
            end = tracing::field::Empty
        );
        cause.tie(&span, &held);
        drop(cause);
        let since = Instant::now();
        let drive = AssertUnwindSafe(self.deps.drive(&mut held, &signals, pending)).catch_unwind();
        let ended = drive.instrument(span.clone()).await;
        TICK_DURATION.with([]).record(since.elapsed().as_secs_f64());
        let end = match &ended {
            Ok(Ok(Ended::Resting { .. })) => "waiting",
            Ok(Ok(Ended::Terminal)) => "terminal",
            Ok(Ok(Ended::Again)) => "again",
            Ok(Err(Stop::Lost)) => "lost",
            Ok(Err(Stop::Unfit(_))) => "handed_back",
            Ok(Err(_)) => "failed",
            Err(_) => "panicked",
        };
        span.record("end", end);
        TICKS.with([end]).increment(1);
        drop(span);
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
            Err(Stop::Unfit(unfit)) => {
                tracing::warn!(run.id = %key.run, pool = &*self.options.pool, reason = %unfit, "run handed back");
                HANDED_BACK
                    .with([&self.options.pool, unfit.as_str()])
                    .increment(1);
                self.board.refuse(key);
                self.release(session, &grip, Duration::ZERO).await;
            }
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

/// Candidates that were found and not yet asked for. They are in the order of fairness between planes, which a look
/// for a single free slot would lose: it would always find the oldest run, and with it the longest backlog.
#[derive(Default)]
struct Page {
    keys: VecDeque<RunKey>,
    until: Option<Instant>,
}

impl Page {
    fn fill(&mut self, keys: Vec<RunKey>) {
        self.keys = keys.into();
        self.until = Some(Instant::now() + PAGE_FRESH);
    }

    /// The next ones, as long as they are fresh: who came meanwhile must not wait behind a page of long calls.
    fn take(&mut self, n: usize) -> Vec<RunKey> {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.keys.clear();
        }
        let n = n.min(self.keys.len());
        self.keys.drain(..n).collect()
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
