//! Locking out who guesses, on all nodes at once.
//!
//! The node's own failures and the shared ones are judged together and the longer lock holds: a counter that was lost
//! with its broker never opens what this node itself has seen.

use std::{sync::Arc, time::Duration, time::Instant};

use ag_auth::{Failure, Lockout, LockoutKey, LockoutPolicy, whole_seconds};
use ag_messaging::{Expiry, SharedCounters};
use ag_telemetry::metrics::LOCKOUT_KEYS;

/// Shared failures are forgotten this long after the last one.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// Failed credentials.
pub(crate) struct Lockouts {
    own: Lockout,
    shared: Arc<dyn SharedCounters>,
}

impl Lockouts {
    pub(crate) fn new(policy: LockoutPolicy, shared: Arc<dyn SharedCounters>) -> Self {
        Self {
            own: Lockout::new(policy),
            shared,
        }
    }

    /// Records a failed attempt. While locked nothing is counted: the answer is the lock that is there.
    pub(crate) async fn failure(&self, key: LockoutKey, now: Instant) -> Failure {
        let locked = self.shared.get(&lock(key)).await;
        let left = (locked.value > 0).then_some(locked.remaining);
        let own = self.own.locked_for(key, now);
        if let Some(retry_after_s) = left.and_then(whole_seconds).max(own) {
            return Failure::Locked { retry_after_s };
        }
        let own = self.own.record_failure(key, now);
        LOCKOUT_KEYS.with([]).set(self.own.len() as f64);
        let expiry = Expiry::Renewed(REMEMBERED.max(self.own.policy().max));
        let failures = self.shared.add(&failed(key), 1, expiry).await.value;
        let together = self
            .own
            .policy()
            .lock(u32::try_from(failures).unwrap_or(u32::MAX));
        if together.is_zero() {
            return own;
        }
        self.shared.add(&lock(key), 1, Expiry::Fixed(together)).await;
        let own = match own {
            Failure::Locked { retry_after_s } => Some(retry_after_s),
            Failure::Unauthorized => None,
        };
        match whole_seconds(together).max(own) {
            Some(retry_after_s) => Failure::Locked { retry_after_s },
            None => Failure::Unauthorized,
        }
    }

    /// Forgets the failures of a key that proved itself. Only a node that has seen some asks the others to forget
    /// theirs: a valid credential passes anyway, and it must not cost a round trip each time.
    pub(crate) fn success(&self, key: impl FnOnce() -> LockoutKey) {
        // The usual node has no failures to forget, and then no key to compute.
        if self.own.is_empty() {
            return;
        }
        let key = key();
        if self.own.record_success(key) {
            LOCKOUT_KEYS.with([]).set(self.own.len() as f64);
            let shared = self.shared.clone();
            tokio::spawn(async move {
                shared.clear(&failed(key)).await;
                shared.clear(&lock(key)).await;
            });
        }
    }
}

fn failed(key: LockoutKey) -> String {
    format!("auth:failed:{key}")
}

fn lock(key: LockoutKey) -> String {
    format!("auth:lock:{key}")
}
