//! What a committed plan changes in memory.

use ag_store::leases::PREEMPT_AFTER_MICROS;
use ag_types::RunKey;

use super::state::State;
use crate::store::Shared;

/// Runs after the commit and before the answers: who is told that a run rests, is ready or was taken finds it so.
pub(super) fn apply(shared: &Shared, state: &State, preempts: &[RunKey]) {
    let now = state.now;
    let mut leases = shared.leases.lock();
    for (key, entry) in state
        .entries
        .iter()
        .filter(|(_, entry)| entry.changed || entry.moved)
    {
        let Some(head) = &entry.head else {
            leases.forget(key);
            continue;
        };
        match entry.lease {
            Some(lease) if entry.moved => {
                // A run born for a session that has died meanwhile is anybody's.
                if leases.is_alive(lease.session, now) {
                    leases.own(*key, lease.session, lease.epoch);
                } else {
                    leases.set_ready(*key, &head.pool, now);
                }
            }
            Some(_) => {}
            None => {
                if entry.moved {
                    leases.release(key);
                }
                if let Some(since) = head.ready_at {
                    // No-op when a claim has taken it between planning and now.
                    leases.set_ready(*key, &head.pool, since);
                }
            }
        }
    }
    for key in preempts {
        leases.set_preempt(*key, now.plus_micros(PREEMPT_AFTER_MICROS));
    }
}
