//! Once a second: what a runner must notice by itself, and the renewal of its lease.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use ag_messaging::Control;
use ag_store::Sweep;
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    Runner,
    runner::{SCOPE, Session},
};

const BEAT: Duration = Duration::from_secs(1);
/// Renewal every fifth beat.
const RENEW_EVERY: u32 = 5;
/// Two seconds before a lease of fifteen ends, counted from when the last good renewal was sent.
const SELF_FENCE: Duration = Duration::from_secs(13);
/// Most rows of one sweep; a full one is repeated at once.
const SWEEP_ROWS: usize = 500;

impl Runner {
    pub(crate) async fn beat_loop(self: &Arc<Self>, session: &Session) {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = Instant::now();
        let mut count = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = tokio::time::sleep_until(renewed + SELF_FENCE) => {
                    tracing::error!(session.id = %session.id, "no renewal for {SELF_FENCE:?}: stopping before the lease ends");
                    session.abort.cancel();
                    return;
                }
            }
            if count.is_multiple_of(RENEW_EVERY) {
                let sent = Instant::now();
                let limit = (renewed + SELF_FENCE).saturating_duration_since(sent);
                match tokio::time::timeout(limit, self.deps.store.renew_session(&SCOPE, session.id)).await {
                    Ok(Ok(true)) => renewed = sent,
                    Ok(Ok(false)) => {
                        session.abort.cancel();
                        return;
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "lease renewal failed");
                        // Try again with the next beat.
                        count = count.wrapping_sub(1);
                    }
                    Err(_) => continue,
                }
            }
            count = count.wrapping_add(1);
            self.beat(session).await;
        }
    }

    async fn beat(&self, session: &Session) {
        let beat = match self.deps.store.beat(&SCOPE, session.id, &self.options.pool).await {
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

    pub(crate) async fn timer_loop(self: &Arc<Self>) {
        loop {
            self.timers.due(|| self.deps.clock.now()).await;
            self.timers.clear();
            self.sweep(Sweep::Timers).await;
            self.learn_next_timer().await;
        }
    }

    async fn learn_next_timer(&self) {
        let Some(session) = self.session.read().clone() else {
            return;
        };
        match self.deps.store.beat(&SCOPE, session.id, &self.options.pool).await {
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
            match self.deps.store.sweep(&SCOPE, sweep).await {
                Ok(woken) => {
                    let full = woken.len() >= SWEEP_ROWS;
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
