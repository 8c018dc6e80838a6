//! Slowing down who guesses credentials.
//!
//! A failure counts against an address *and* what it presented itself as, so that a shared address (a proxy, an
//! office) is not locked out as a whole. The caller authenticates first where that is cheap, so that a valid
//! token passes while its address is locked; where it is not (passwords), it asks [`Lockout::locked_for`] first.
//!
//! The state is one map per node, bounded: the keys that failed longest ago give way. What the nodes of a cluster know
//! together is the API's business.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::ClientAddress;

/// Entries kept; about 100 bytes each.
const CAPACITY: usize = 100_000;

/// No lock is longer, so that arithmetic cannot overflow: a year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// When and for how long to lock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LockoutPolicy {
    /// The failure at which the first lock starts, at least 1.
    pub after: u32,
    /// The first lock; doubles with each further failure.
    pub base: Duration,
    /// The longest lock; zero = no cap.
    pub max: Duration,
}

impl Default for LockoutPolicy {
    fn default() -> Self {
        Self {
            after: 5,
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
        }
    }
}

impl LockoutPolicy {
    /// A policy from seconds as configured; what is no duration is zero.
    #[must_use]
    pub fn from_seconds(after: u32, base_s: f64, max_s: f64) -> Self {
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self {
            after: after.max(1),
            base: duration(base_s),
            max: duration(max_s),
        }
    }

    /// The lock after the `n`th failure in a row; zero below the threshold.
    #[must_use]
    pub fn lock(&self, n: u32) -> Duration {
        let Some(doublings) = n.checked_sub(self.after.max(1)) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
        let lock = self.base.saturating_mul(factor).min(LONGEST);
        if self.max.is_zero() {
            lock
        } else {
            lock.min(self.max)
        }
    }
}

/// Who a request claims to be, as far as that is known before it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// No credential at all.
    Anonymous,
    /// A bearer token that names nobody.
    Bearer,
    /// A browser session.
    Session,
    /// A user: of a login, or the owner of a token's public id.
    User(&'a str),
}

/// Address and identity, as a digest: entries have one size, and the memory holds no personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockoutKey([u8; 16]);

impl LockoutKey {
    /// The key of a request.
    #[must_use]
    pub fn new(address: &ClientAddress, identity: Identity<'_>) -> Self {
        let (kind, user) = match identity {
            Identity::Anonymous => (b'a', ""),
            Identity::Bearer => (b'b', ""),
            Identity::Session => (b's', ""),
            Identity::User(user) => (b'u', user),
        };
        let mut hash = Sha256::new();
        hash.update([kind]);
        hash.update(address.network().as_bytes());
        hash.update([0]);
        hash.update(user.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }
}

/// The digest in hexadecimal, for counters that nodes share.
impl fmt::Display for LockoutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a failed attempt is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 401.
    Unauthorized,
    /// 429 with this `Retry-After`, at least 1.
    Locked {
        /// Whole seconds until the lock ends, rounded up.
        retry_after_s: u64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    failures: u32,
    until: Instant,
    /// Position in `order`.
    stamp: u64,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<LockoutKey, Entry>,
    /// Keys by their last failure, oldest first.
    order: BTreeMap<u64, LockoutKey>,
    next_stamp: u64,
}

/// The failures of a node.
#[derive(Debug)]
pub struct Lockout {
    policy: LockoutPolicy,
    capacity: usize,
    state: Mutex<State>,
}

impl Lockout {
    /// No failures yet.
    #[must_use]
    pub fn new(policy: LockoutPolicy) -> Self {
        Self::with_capacity(policy, CAPACITY)
    }

    /// Keeps at most `capacity` keys, at least 1.
    #[must_use]
    pub fn with_capacity(policy: LockoutPolicy, capacity: usize) -> Self {
        Self {
            policy,
            capacity: capacity.max(1),
            state: Mutex::default(),
        }
    }

    /// Whole seconds, rounded up, until the key may try again; `None` if it may now. A lock of less than a
    /// second is a lock.
    #[must_use]
    pub fn locked_for(&self, key: LockoutKey, now: Instant) -> Option<u64> {
        let state = self.state.lock();
        let entry = state.entries.get(&key)?;
        whole_seconds(entry.until.saturating_duration_since(now))
    }

    /// Records a failed attempt. While locked nothing is counted: the answer is the lock that is there.
    pub fn record_failure(&self, key: LockoutKey, now: Instant) -> Failure {
        let mut state = self.state.lock();
        let before = state.entries.get(&key).copied();
        if let Some(entry) = before
            && let Some(retry_after_s) = whole_seconds(entry.until.saturating_duration_since(now))
        {
            return Failure::Locked { retry_after_s };
        }
        let failures = before.map_or(0, |entry| entry.failures).saturating_add(1);
        let lock = self.policy.lock(failures);
        let until = now.checked_add(lock).unwrap_or(now);
        state.put(key, failures, until, self.capacity);
        match whole_seconds(lock) {
            Some(retry_after_s) => Failure::Locked { retry_after_s },
            None => Failure::Unauthorized,
        }
    }

    /// Forgets the failures of a key that proved itself; whether there were any.
    pub fn record_success(&self, key: LockoutKey) -> bool {
        let mut state = self.state.lock();
        let known = state.entries.remove(&key);
        if let Some(entry) = &known {
            state.order.remove(&entry.stamp);
        }
        known.is_some()
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> LockoutPolicy {
        self.policy
    }

    /// Keys that failed and are remembered, for metrics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().entries.len()
    }

    /// Whether nobody failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn put(&mut self, key: LockoutKey, failures: u32, until: Instant, capacity: usize) {
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        if let Some(old) = self.entries.insert(
            key,
            Entry {
                failures,
                until,
                stamp,
            },
        ) {
            self.order.remove(&old.stamp);
        }
        self.order.insert(stamp, key);
        while self.entries.len() > capacity {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
    }
}

/// Whole seconds of a lock, rounded up; `None` for no lock.
#[must_use]
pub fn whole_seconds(left: Duration) -> Option<u64> {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    (seconds > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str, identity: Identity<'_>) -> LockoutKey {
        LockoutKey::new(
            &ClientAddress::of_request(address.parse().ok(), None, false),
            identity,
        )
    }

    fn locked(retry_after_s: u64) -> Failure {
        Failure::Locked { retry_after_s }
    }

    #[test]
    fn recorded_sequence_of_the_contract() {
        let lockout = Lockout::new(LockoutPolicy::from_seconds(3, 2.0, 3.0));
        let key = key("10.0.0.1", Identity::Bearer);
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(lockout.record_failure(key, at(0)), Failure::Unauthorized);
        assert_eq!(lockout.record_failure(key, at(10)), Failure::Unauthorized);
        assert_eq!(lockout.record_failure(key, at(20)), locked(2));
        // Locked: refused without counting, to the last millisecond.
        assert_eq!(lockout.record_failure(key, at(1_500)), locked(1));
        assert_eq!(lockout.locked_for(key, at(2_019)), Some(1));
        assert_eq!(lockout.locked_for(key, at(2_020)), None);
        // 4 seconds, capped at 3; and so on.
        assert_eq!(lockout.record_failure(key, at(2_020)), locked(3));
        assert_eq!(lockout.record_failure(key, at(5_020)), locked(3));
        lockout.record_success(key);
        assert_eq!(lockout.locked_for(key, at(5_021)), None);
        assert_eq!(lockout.record_failure(key, at(5_022)), Failure::Unauthorized);
        assert_eq!(lockout.len(), 1);
    }

    #[test]
    fn locks_double_up_to_the_cap() {
        let policy = LockoutPolicy::default();
        let seconds: Vec<u64> = (4..=12).map(|n| policy.lock(n).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);

        let uncapped = LockoutPolicy::from_seconds(1, 1.0, 0.0);
        assert_eq!(uncapped.lock(11).as_secs(), 1_024);
        assert_eq!(uncapped.lock(u32::MAX), LONGEST);
        let odd = LockoutPolicy::from_seconds(0, f64::NAN, -1.0);
        assert_eq!((odd.after, odd.lock(50)), (1, Duration::ZERO));
    }

    #[test]
    fn locks_below_a_second_are_enforced() {
        let lockout = Lockout::new(LockoutPolicy::from_seconds(1, 0.2, 60.0));
        let key = key("10.0.0.1", Identity::User("default:carol"));
        let start = Instant::now();
        assert_eq!(lockout.record_failure(key, start), locked(1));
        assert_eq!(
            lockout.locked_for(key, start + Duration::from_millis(199)),
            Some(1)
        );
        assert_eq!(lockout.locked_for(key, start + Duration::from_millis(200)), None);
    }

    #[test]
    fn no_base_never_locks() {
        let lockout = Lockout::new(LockoutPolicy::from_seconds(1, 0.0, 60.0));
        let key = key("10.0.0.1", Identity::Bearer);
        let start = Instant::now();
        for _ in 0..50 {
            assert_eq!(lockout.record_failure(key, start), Failure::Unauthorized);
        }
    }

    #[test]
    fn keys_are_address_and_identity() {
        let lockout = Lockout::new(LockoutPolicy::from_seconds(1, 60.0, 60.0));
        let start = Instant::now();
        let carol = Identity::User("default:carol");
        assert_eq!(lockout.record_failure(key("10.0.0.1", carol), start), locked(60));
        for (address, identity, expected) in [
            ("10.0.0.1", carol, Some(60)),
            ("::ffff:10.0.0.1", carol, Some(60)),
            ("10.0.0.1", Identity::User("default:dave"), None),
            ("10.0.0.1", Identity::Anonymous, None),
            ("10.0.0.1", Identity::Bearer, None),
            ("10.0.0.1", Identity::Session, None),
            ("10.0.0.2", carol, None),
        ] {
            assert_eq!(
                lockout.locked_for(key(address, identity), start),
                expected,
                "{address} {identity:?}"
            );
        }
    }

    #[test]
    fn one_network_of_ipv6_is_one_client() {
        let carol = Identity::User("carol");
        assert_eq!(key("2001:db8::1", carol), key("2001:db8::ffff:2", carol));
        assert_ne!(key("2001:db8::1", carol), key("2001:db8:0:1::1", carol));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_gives_way() {
        let lockout = Lockout::with_capacity(LockoutPolicy::from_seconds(2, 60.0, 60.0), 3);
        let start = Instant::now();
        let key = |n: u32| {
            LockoutKey::new(
                &ClientAddress::of_request(Some(std::net::Ipv4Addr::from(n).into()), None, false),
                Identity::Bearer,
            )
        };
        for n in 0..3 {
            assert_eq!(lockout.record_failure(key(n), start), Failure::Unauthorized);
        }
        // Key 0 fails again and is now the youngest; key 1 is the oldest.
        assert_eq!(lockout.record_failure(key(0), start), locked(60));
        assert_eq!(lockout.record_failure(key(9), start), Failure::Unauthorized);
        assert_eq!(lockout.len(), 3);
        assert_eq!(lockout.locked_for(key(0), start), Some(60));
        assert_eq!(lockout.record_failure(key(1), start), Failure::Unauthorized);
        for n in 0..1_000 {
            lockout.record_failure(key(n), start);
        }
        assert_eq!((lockout.len(), lockout.state.lock().order.len()), (3, 3));
    }
}
