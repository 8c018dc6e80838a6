//! Once a second: what a runner must notice by itself, and the renewal of its lease.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use ag_messaging::Control;
use ag_store::{StoreError, Sweep};
use ag_telemetry::metrics::{FOUND_BY_SWEEP, RUNNER_SLOTS, TIMER_LATENESS};
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout, timeout_at};

use crate::{
    Runner,
    runner::{SCOPE, Session},
    strays::Suspects,
};

pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// Renewal every fifth beat.
const RENEW_EVERY: u32 = 5;
/// Two seconds before a lease of fifteen ends, counted from when the last good renewal was sent.
const SELF_FENCE: Duration = Duration::from_secs(13);
/// Longest wait for an answer to what is asked again anyway; renewals must not wait for a connection that is dead.
const ANSWER: Duration = Duration::from_secs(4);
/// How often the pools are looked at.
const POOLS_EVERY: Duration = Duration::from_secs(15);
/// Most rows of one sweep; a full one is repeated at once.
const SWEEP_ROWS: usize = 500;

/// Where the loop of beats stands.
struct Beats {
    ticks: Interval,
    count: u32,
    /// When the pools are looked at next.
    next_look: Instant,
    suspects: Suspects,
}

impl Runner {
    /// Beats until the session is lost, which its token then says.
    pub(crate) async fn beat_loop(self: &Arc<Self>, session: &Session) {
        let mut beats = Beats {
            ticks: tokio::time::interval(BEAT),
            count: 0,
            next_look: Instant::now(),
            suspects: Suspects::default(),
        };
        beats.ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Whatever a beat waits for, a database out of reach included, it never waits past this.
            let fence = session.renewed() + SELF_FENCE;
            match timeout_at(fence, self.turn(session, &mut beats)).await {
                Ok(true) => {}
                Ok(false) => {
                    session.abort.cancel();
                    return;
                }
                // Renewed in the same turn, before something else took its time.
                Err(_) if session.renewed() + SELF_FENCE > fence => {}
                Err(_) => {
                    tracing::error!(session.id = %session.id, "no renewal for {SELF_FENCE:?}: stopping before the lease ends");
                    session.abort.cancel();
                    return;
                }
            }
        }
    }

    /// One beat; false if the session is lost.
    async fn turn(&self, session: &Session, beats: &mut Beats) -> bool {
        beats.ticks.tick().await;
        if beats.count.is_multiple_of(RENEW_EVERY) {
            let sent = Instant::now();
            match answered(self.deps.store.renew_session(&SCOPE, session.id)).await {
                Ok(true) => session.set_renewed(sent),
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(%error, "lease renewal failed");
                    // Try again with the next beat.
                    beats.count = beats.count.wrapping_sub(1);
                }
            }
        }
        let renewed = beats.count.is_multiple_of(RENEW_EVERY);
        beats.count = beats.count.wrapping_add(1);
        self.beat(session).await;
        if self.is_doubtful() || renewed {
            // Nothing that a beat does may hold the next renewal up.
            let _ = timeout(BEAT, self.look_for_strays(session, &mut beats.suspects)).await;
        }
        self.show_slots();
        if Instant::now() >= beats.next_look {
            beats.next_look = Instant::now() + POOLS_EVERY;
            let looking = self.place.live().look(&*self.deps.store, self.deps.clock.now());
            let _ = timeout(BEAT, looking).await;
        }
        true
    }

    async fn beat(&self, session: &Session) {
        let beat = match answered(self.deps.store.beat(&SCOPE, session.id, &self.options.pool)).await {
            Ok(beat) => beat,
            Err(error) => {
                tracing::warn!(%error, "beat failed");
                return;
            }
        };
        for key in beat.cancels {
            self.board.cancel(key);
        }
        if let Some(due) = beat.next_wake {
            self.timers.add(due);
        }
        if beat.session_expired {
            self.sweep(Sweep::Sessions).await;
        }
        if beat.preempt_due {
            self.sweep(Sweep::Cancels).await;
        }
        // Ready for longer than a beat: its bell was lost.
        let overdue = beat
            .oldest_ready
            .zip(beat.now)
            .is_some_and(|(since, now)| now.micros_since(since) > 1_000_000);
        if overdue {
            self.look_wanted.store(true, Ordering::Release);
            self.look.notify_one();
        }
    }

    fn show_slots(&self) {
        let free = self.slots.available_permits();
        let used = self.options.slots.saturating_sub(free);
        for (state, n) in [("used", used), ("free", free)] {
            RUNNER_SLOTS.with([&self.options.pool, state]).set(n as f64);
        }
    }

    pub(crate) async fn timer_loop(self: &Arc<Self>) {
        loop {
            let due = self.timers.due(|| self.deps.clock.now()).await;
            self.timers.clear();
            self.sweep(Sweep::Timers).await;
            let late = self.deps.clock.now().micros_since(due).max(0);
            TIMER_LATENESS.with([]).record(late as f64 / 1e6);
            self.learn_next_timer().await;
        }
    }

    async fn learn_next_timer(&self) {
        let Some(session) = self.session.read().clone() else {
            return;
        };
        match answered(self.deps.store.beat(&SCOPE, session.id, &self.options.pool)).await {
            Ok(beat) => {
                if let Some(due) = beat.next_wake {
                    self.timers.add(due);
                }
            }
            // The next beat learns it.
            Err(error) => tracing::warn!(%error, "cannot learn the next timer"),
        }
    }

    async fn sweep(&self, sweep: Sweep) {
        loop {
            match answered(self.deps.store.sweep(&SCOPE, sweep)).await {
                Ok(woken) => {
                    if !woken.is_empty() {
                        ag_failpoints::hit(sweep_name(sweep));
                    }
                    let full = woken.len() >= SWEEP_ROWS;
                    match sweep {
                        Sweep::Timers => {}
                        Sweep::Sessions => FOUND_BY_SWEEP.with(["session"]).increment(woken.len() as u64),
                        Sweep::Cancels => FOUND_BY_SWEEP.with(["cancel"]).increment(woken.len() as u64),
                    }
                    for woken in woken {
                        self.deps.bell.ring(&woken.pool, &[woken.key]).await;
                    }
                    if !full {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(?sweep, %error, "sweep failed");
                    return;
                }
            }
        }
    }

    pub(crate) async fn control_loop(self: &Arc<Self>, session: &Session) {
        let mut controls = self.deps.bell.controls(session.id).await;
        while let Some(control) = controls.recv().await {
            match control {
                Control::Cancel(key) => self.board.cancel(key),
                Control::Drain => self.drain.cancel(),
            }
        }
        // A closed channel is no reason to stop working: the beat finds cancels too.
        std::future::pending::<()>().await;
    }
}

/// Failpoints after sweeps that found something, before anybody is told.
const fn sweep_name(sweep: Sweep) -> &'static str {
    match sweep {
        Sweep::Timers => "timer.claimed",
        Sweep::Sessions => "sweep.sessions",
        Sweep::Cancels => "sweep.cancels",
    }
}

/// The answer of the store, if it comes in time.
pub(crate) async fn answered<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(ANSWER, call).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {ANSWER:?}"))),
    }
}
