//! Reconcilers and the end of sessions.

use ag_store::{Sweep, Woken};
use ag_types::{RunKey, SessionId};

use super::Plan;
use crate::writer::state::State;

impl Plan {
    pub(super) fn sweep(&mut self, state: &mut State, sweep: Sweep) -> Vec<Woken> {
        match sweep {
            Sweep::Timers => timers(state),
            Sweep::Sessions => {
                let orphans = std::mem::take(&mut state.orphans);
                release(state, &orphans, None, true)
            }
            Sweep::Cancels => {
                let overdue = std::mem::take(&mut state.overdue);
                release(state, &overdue, None, false)
            }
        }
    }

    pub(super) fn close_session(&mut self, state: &mut State, session: SessionId, clean: bool) -> Vec<Woken> {
        let held = state.closing.remove(&session).unwrap_or_default();
        release(state, &held, Some(session), !clean)
    }
}

/// Runs whose holder still has a cancel that is overdue.
pub(super) fn take_over(state: &mut State, runs: &[RunKey]) -> Vec<Woken> {
    let now = state.now;
    let ignored = |key: &&RunKey| {
        let lease = state.entries.get(key).and_then(|entry| entry.lease);
        lease
            .and_then(|lease| lease.preempt_at)
            .is_some_and(|at| at < now)
    };
    let overdue: Vec<RunKey> = runs.iter().filter(ignored).copied().collect();
    release(state, &overdue, None, false)
}

/// Due heads become ready. An owned one only loses its timer: its holder looks at the clock itself.
fn timers(state: &mut State) -> Vec<Woken> {
    let now = state.now;
    let mut woken = Vec::new();
    for key in std::mem::take(&mut state.due) {
        let entry = state.entry(key);
        let Some(head) = entry
            .head
            .as_mut()
            .filter(|head| head.wake_at.is_some_and(|at| at <= now))
        else {
            continue;
        };
        head.wake_at = None;
        head.ready_at.get_or_insert(now);
        if entry.lease.is_none() {
            woken.push(Woken {
                key,
                pool: head.pool.clone(),
            });
        }
        entry.changed = true;
    }
    woken
}

/// Takes runs away from their holders, whose commits are refused from here on.
fn release(state: &mut State, keys: &[RunKey], of: Option<SessionId>, crashed: bool) -> Vec<Woken> {
    let now = state.now;
    let mut woken = Vec::new();
    for key in keys {
        let entry = state.entry(*key);
        if !entry
            .lease
            .is_some_and(|lease| of.is_none_or(|session| lease.session == session))
        {
            continue;
        }
        entry.release(now, crashed);
        if let Some(head) = &entry.head {
            woken.push(Woken {
                key: *key,
                pool: head.pool.clone(),
            });
        }
    }
    woken
}
