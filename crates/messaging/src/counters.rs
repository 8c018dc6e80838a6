//! Counters that the nodes of a cluster share: lockout, rate limits, concurrency and stream caps.
//!
//! They limit, they do not prove: a counter may be lost with its broker, and a node that cannot reach it goes on with
//! its own share, so that a limit becomes one per node and never none at all.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Counters a node remembers. Beyond that those that end soonest are forgotten.
const MAX_COUNTERS: usize = 65_536;
/// How many are compared to find one that ends soon.
const SAMPLE: usize = 16;

/// When a counter is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So long after it was first counted: a window of a rate limit.
    Fixed(Duration),
    /// So long after it was last counted: places in use, failures in a row.
    Renewed(Duration),
}

impl Expiry {
    fn duration(self) -> Duration {
        match self {
            Self::Fixed(duration) | Self::Renewed(duration) => duration,
        }
    }

    /// Whole milliseconds, at least one.
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.duration().as_millis()).map_or(u64::MAX >> 1, |ms| ms.clamp(1, u64::MAX >> 1))
    }
}

/// A counter at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Its value, never below 0.
    pub value: i64,
    /// Time until it is forgotten; zero if it does not exist.
    pub remaining: Duration,
}

/// Shared counters. No call fails or waits for long; a node whose broker is away answers from its own share.
#[async_trait]
pub trait SharedCounters: Send + Sync {
    /// Adds to a counter, which begins at 0, and returns it. A negative `by` gives back what was taken.
    async fn add(&self, key: &str, by: i64, expiry: Expiry) -> Count;
    /// Reads a counter.
    async fn get(&self, key: &str) -> Count;
    /// Forgets a counter.
    async fn clear(&self, key: &str);
    /// False while the counters are the node's own although they should be shared.
    fn healthy(&self) -> bool;
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    value: i64,
    ends: Instant,
}

/// The counters of one node.
#[derive(Debug, Default)]
pub struct LocalCounters {
    entries: Mutex<HashMap<Box<str>, Entry>>,
}

impl LocalCounters {
    pub(crate) fn add_now(&self, key: &str, by: i64, expiry: Expiry) -> Count {
        let now = Instant::now();
        let fresh = Entry {
            value: 0,
            ends: now + Duration::from_millis(expiry.millis().min(u64::from(u32::MAX))),
        };
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get_mut(key) {
            if entry.ends <= now {
                *entry = fresh;
            }
            entry.value = entry.value.saturating_add(by).max(0);
            if matches!(expiry, Expiry::Renewed(_)) {
                entry.ends = fresh.ends;
            }
            return entry.at(now);
        }
        if by <= 0 {
            // Nothing was taken here, so there is nothing to give back.
            return Count::default();
        }
        make_room(&mut entries, now);
        let entry = Entry { value: by, ..fresh };
        entries.insert(key.into(), entry);
        entry.at(now)
    }

    pub(crate) fn get_now(&self, key: &str) -> Count {
        let now = Instant::now();
        let entries = self.entries.lock();
        let entry = entries.get(key).filter(|entry| entry.ends > now);
        entry.map_or_else(Count::default, |entry| entry.at(now))
    }

    pub(crate) fn clear_now(&self, key: &str) {
        self.entries.lock().remove(key);
    }
}

impl Entry {
    fn at(&self, now: Instant) -> Count {
        Count {
            value: self.value,
            remaining: self.ends.saturating_duration_since(now),
        }
    }
}

/// Keeps the map bounded, whatever keys strangers make up.
fn make_room(entries: &mut HashMap<Box<str>, Entry>, now: Instant) {
    if entries.len() < MAX_COUNTERS {
        return;
    }
    // A sample, not a walk: a full map must not make each request pay for all of it.
    let sample = entries.iter().take(SAMPLE);
    let over: Vec<_> = sample
        .clone()
        .filter(|(_, entry)| entry.ends <= now)
        .map(|(key, _)| key.clone())
        .collect();
    let soonest = sample
        .min_by_key(|(_, entry)| entry.ends)
        .map(|(key, _)| key.clone());
    for key in over.into_iter().chain(soonest) {
        entries.remove(&key);
    }
}

#[async_trait]
impl SharedCounters for LocalCounters {
    async fn add(&self, key: &str, by: i64, expiry: Expiry) -> Count {
        self.add_now(key, by, expiry)
    }

    async fn get(&self, key: &str) -> Count {
        self.get_now(key)
    }

    async fn clear(&self, key: &str) {
        self.clear_now(key);
    }

    fn healthy(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_fixed_window_ends_and_a_renewed_one_moves() {
        let counters = LocalCounters::default();
        for expected in 1..=3 {
            tokio::time::advance(MINUTE / 4).await;
            assert_eq!(
                counters.add_now("fixed", 1, Expiry::Fixed(MINUTE)).value,
                expected
            );
            assert_eq!(
                counters.add_now("renewed", 1, Expiry::Renewed(MINUTE)).value,
                expected
            );
        }
        assert_eq!(counters.get_now("fixed").remaining, MINUTE / 2);
        assert_eq!(counters.get_now("renewed").remaining, MINUTE);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(counters.get_now("fixed"), Count::default());
        assert_eq!(counters.get_now("renewed").value, 3);
        assert_eq!(counters.add_now("fixed", 1, Expiry::Fixed(MINUTE)).value, 1);
    }

    #[tokio::test]
    async fn strangers_cannot_fill_the_memory() {
        let counters = LocalCounters::default();
        for n in 0..MAX_COUNTERS + 1_000 {
            counters.add_now(&n.to_string(), 1, Expiry::Fixed(MINUTE));
        }
        assert!(counters.entries.lock().len() <= MAX_COUNTERS);
        assert_eq!(counters.add_now("one more", 1, Expiry::Fixed(MINUTE)).value, 1);
    }
}
