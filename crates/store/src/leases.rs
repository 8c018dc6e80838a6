//! Sessions, owners and ready runs of a store that one process owns, in memory.
//!
//! A cluster keeps these in rows because several processes compete for runs. Where one process owns the whole store
//! (SQLite, the fake) they need none: after a restart nobody owns anything, and every head that is not at rest is
//! ready again. A claim therefore writes nothing.
//!
//! The table is plain data without a lock of its own. Its user wraps it in one mutex and keeps this order:
//! *owners and readiness change only after the transaction that justifies it has committed*. A run is in exactly one
//! of three places: owned, ready, or neither (at rest, ended, unknown).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use ag_types::{PlaneId, RunId, RunKey, SessionId, Timestamp};

use crate::{CandidateQuery, NewSession, PoolLoad, Woken};

/// Lease of a session: 15 s of store time.
pub const SESSION_TTL_MICROS: i64 = 15_000_000;
/// Time that a holder has to obey a cancel before the run is taken over.
pub const PREEMPT_AFTER_MICROS: i64 = 1_500_000;
/// Dead sessions are remembered this long, so that a late renewal is refused rather than unknown.
const DEAD_KEPT_MICROS: i64 = 3_600_000_000;
/// Planes that one candidate query looks at.
const CANDIDATE_PLANES: usize = 64;

/// Ownership of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Holder.
    pub session: SessionId,
    /// Epoch of the claim; 0 while the claim is still reading the state.
    pub epoch: i64,
    /// From then on an unanswered cancel may be taken over.
    pub preempt_at: Option<Timestamp>,
}

/// A ready run that nobody owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Pool whose runners may claim it.
    pub pool: Arc<str>,
    /// Since when it waits.
    pub since: Timestamp,
}

/// Ready runs of one pool and plane, oldest first.
type Queue = BTreeSet<(Timestamp, RunKey)>;

#[derive(Debug, Clone)]
struct Session {
    pool: Arc<str>,
    expires_at: Timestamp,
    dead: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LeaseTable {
    sessions: HashMap<SessionId, Session>,
    owners: HashMap<RunKey, Lease>,
    held: HashMap<SessionId, HashSet<RunKey>>,
    preempts: BTreeMap<RunKey, Timestamp>,
    ready: HashMap<RunKey, Ready>,
    queues: BTreeMap<Arc<str>, BTreeMap<PlaneId, Queue>>,
    last_epoch: i64,
}

impl LeaseTable {
    /// A table whose epochs lie above `last_epoch`: those of former processes that never committed are not known.
    pub fn after_epoch(last_epoch: i64) -> Self {
        Self {
            last_epoch,
            ..Self::default()
        }
    }

    /// Registers a session.
    pub fn open_session(&mut self, session: &NewSession, now: Timestamp) {
        let expires_at = now.plus_micros(SESSION_TTL_MICROS);
        self.sessions.entry(session.id).or_insert_with(|| Session {
            pool: session.pool.clone(),
            expires_at,
            dead: false,
        });
    }

    /// Extends a lease; `false` if the session is dead or unknown.
    pub fn renew_session(&mut self, id: SessionId, now: Timestamp) -> bool {
        match self.sessions.get_mut(&id) {
            Some(session) if !session.dead => {
                session.expires_at = now.plus_micros(SESSION_TTL_MICROS);
                true
            }
            _ => false,
        }
    }

    /// True while a session may claim.
    pub fn is_alive(&self, id: SessionId, now: Timestamp) -> bool {
        self.sessions
            .get(&id)
            .is_some_and(|session| !session.dead && session.expires_at > now)
    }

    /// Ends a session: it claims nothing from now on. Its runs stay owned until they are released.
    pub fn mark_dead(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.dead = true;
        }
    }

    /// Marks expired sessions dead and forgets those that died long ago.
    pub fn expire_sessions(&mut self, now: Timestamp) {
        for session in self.sessions.values_mut() {
            session.dead |= session.expires_at <= now;
        }
        let held = &self.held;
        let forget = now.plus_micros(-DEAD_KEPT_MICROS);
        self.sessions
            .retain(|id, session| !session.dead || session.expires_at > forget || held.contains_key(id));
    }

    /// True when a session has expired and is not marked dead.
    pub fn any_expired(&self, now: Timestamp) -> bool {
        self.sessions
            .values()
            .any(|session| !session.dead && session.expires_at <= now)
    }

    /// Runs of dead sessions, at most `limit`, in key order.
    pub fn orphans(&self, limit: usize) -> Vec<RunKey> {
        let dead = |id: &SessionId| self.sessions.get(id).is_none_or(|session| session.dead);
        let mut keys: Vec<_> = self
            .held
            .iter()
            .filter(|(id, _)| dead(id))
            .flat_map(|(_, keys)| keys)
            .copied()
            .collect();
        keys.sort_unstable();
        keys.truncate(limit);
        keys
    }

    /// Runs of one session, in key order.
    pub fn held_by(&self, session: SessionId) -> Vec<RunKey> {
        let mut keys: Vec<_> = self.held.get(&session).into_iter().flatten().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Runs of one session with the epochs of their claims, in key order.
    pub fn held_with_epochs(&self, session: SessionId) -> Vec<(RunKey, i64)> {
        let epoch = |key: RunKey| Some((key, self.owners.get(&key)?.epoch));
        self.held_by(session).into_iter().filter_map(epoch).collect()
    }

    /// Those of `keys` that are ready and free.
    pub fn ready_among(&self, keys: &[RunKey]) -> Vec<Woken> {
        let ready = |key: &RunKey| {
            let pool = self.ready.get(key)?.pool.clone();
            Some(Woken { key: *key, pool })
        };
        keys.iter().filter_map(ready).collect()
    }

    /// Owner of a run.
    pub fn lease(&self, key: &RunKey) -> Option<Lease> {
        self.owners.get(key).copied()
    }

    /// Takes a ready run for a session, with epoch 0: no commit can match until [`Self::set_epoch`]. `None` if it is
    /// owned or not ready.
    pub fn take_ready(&mut self, key: &RunKey, session: SessionId) -> Option<Ready> {
        let ready = self.remove_ready(key)?;
        self.put_owner(*key, session, 0);
        Some(ready)
    }

    /// Gives a taken run its epoch: above the stored one and above every one given in this process. `None` if the
    /// run has been taken away meanwhile.
    pub fn set_epoch(&mut self, key: &RunKey, session: SessionId, stored: i64) -> Option<i64> {
        let lease = self
            .owners
            .get_mut(key)
            .filter(|lease| lease.session == session)?;
        self.last_epoch = self.last_epoch.max(stored) + 1;
        lease.epoch = self.last_epoch;
        Some(lease.epoch)
    }

    /// Makes a session the owner with a given epoch (runs that are held from birth).
    pub fn own(&mut self, key: RunKey, session: SessionId, epoch: i64) {
        self.remove_ready(&key);
        self.release(&key);
        self.last_epoch = self.last_epoch.max(epoch);
        self.put_owner(key, session, epoch);
    }

    /// Ends an ownership; the run is at rest unless [`Self::set_ready`] follows.
    pub fn release(&mut self, key: &RunKey) {
        self.preempts.remove(key);
        if let Some(lease) = self.owners.remove(key)
            && let Some(held) = self.held.get_mut(&lease.session)
        {
            held.remove(key);
            if held.is_empty() {
                self.held.remove(&lease.session);
            }
        }
    }

    /// Marks a run ready; no-op while it is owned. A run that is ready already keeps its place.
    pub fn set_ready(&mut self, key: RunKey, pool: &Arc<str>, since: Timestamp) {
        if self.owners.contains_key(&key) {
            return;
        }
        if let Some(ready) = self.ready.get(&key) {
            if ready.pool == *pool {
                return;
            }
            self.remove_ready(&key);
        }
        self.ready.insert(
            key,
            Ready {
                pool: pool.clone(),
                since,
            },
        );
        let planes = self.queues.entry(pool.clone()).or_default();
        planes.entry(key.plane).or_default().insert((since, key));
    }

    /// Forgets a run that has ended or was purged; its holder is fenced.
    pub fn forget(&mut self, key: &RunKey) {
        self.release(key);
        self.remove_ready(key);
    }

    /// Notes a cancel for an owned run; the earliest deadline stands.
    pub fn set_preempt(&mut self, key: RunKey, at: Timestamp) {
        if let Some(lease) = self.owners.get_mut(&key) {
            let at = lease.preempt_at.map_or(at, |earlier| earlier.min(at));
            lease.preempt_at = Some(at);
            self.preempts.insert(key, at);
        }
    }

    /// Owned runs whose cancel is overdue, at most `limit`.
    pub fn overdue(&self, now: Timestamp, limit: usize) -> Vec<RunKey> {
        self.preempts
            .iter()
            .filter(|(_, at)| **at < now)
            .map(|(key, _)| *key)
            .take(limit)
            .collect()
    }

    /// Those of `runs` whose cancel is overdue.
    pub fn overdue_among(&self, now: Timestamp, plane: PlaneId, runs: &[RunId]) -> Vec<RunKey> {
        let keys = runs.iter().map(|run| RunKey { run: *run, plane });
        keys.filter(|key| self.preempts.get(key).is_some_and(|at| *at < now))
            .collect()
    }

    /// Runs of a session with an unanswered cancel.
    pub fn cancels_of(&self, session: SessionId) -> Vec<RunKey> {
        let mine = |key: &RunKey| self.owners.get(key).is_some_and(|lease| lease.session == session);
        self.preempts.keys().copied().filter(mine).collect()
    }

    /// Since when the oldest ready run of a pool waits.
    pub fn oldest_ready(&self, pool: &str) -> Option<Timestamp> {
        let planes = self.queues.get(pool)?;
        planes
            .values()
            .filter_map(|queue| queue.first())
            .map(|(since, _)| *since)
            .min()
    }

    /// What each pool has to do. Owned runs count for the pool of their holder.
    pub fn pools(&self, now: Timestamp) -> Vec<PoolLoad> {
        let mut pools: BTreeMap<Arc<str>, PoolLoad> = BTreeMap::new();
        let mut of = |pool: &Arc<str>, change: &dyn Fn(&mut PoolLoad)| {
            let load = pools.entry(pool.clone()).or_insert_with(|| PoolLoad {
                pool: pool.clone(),
                runners: 0,
                ready: 0,
                leased: 0,
                oldest_ready: None,
            });
            change(load);
        };
        for (id, session) in &self.sessions {
            if !session.dead && session.expires_at > now {
                of(&session.pool, &|load| load.runners += 1);
            }
            if let Some(held) = self.held.get(id) {
                of(&session.pool, &|load| load.leased += held.len() as i64);
            }
        }
        for (pool, planes) in &self.queues {
            let ready: usize = planes.values().map(BTreeSet::len).sum();
            of(pool, &|load| {
                load.ready += ready as i64;
                load.oldest_ready = self.oldest_ready(pool);
            });
        }
        pools.into_values().collect()
    }

    /// Ready runs, fair between planes: at most 64 planes from a rotating start; the first run of each plane (oldest
    /// first), then the second of each, and so on.
    pub fn candidates(&self, query: &CandidateQuery) -> Vec<RunKey> {
        let Some(planes) = self.queues.get(&query.pool) else {
            return Vec::new();
        };
        let after = planes.range((
            std::ops::Bound::Excluded(query.after_plane),
            std::ops::Bound::Unbounded,
        ));
        let before = planes.range(..=query.after_plane);
        let mut places: Vec<(usize, Timestamp, RunKey)> = Vec::new();
        for (_, queue) in after.chain(before).take(CANDIDATE_PLANES) {
            let first = queue.iter().take(query.limit).enumerate();
            places.extend(first.map(|(place, (since, key))| (place, *since, *key)));
        }
        places.sort_unstable();
        places
            .into_iter()
            .take(query.limit)
            .map(|(_, _, key)| key)
            .collect()
    }

    fn put_owner(&mut self, key: RunKey, session: SessionId, epoch: i64) {
        self.owners.insert(
            key,
            Lease {
                session,
                epoch,
                preempt_at: None,
            },
        );
        self.held.entry(session).or_default().insert(key);
    }

    fn remove_ready(&mut self, key: &RunKey) -> Option<Ready> {
        let ready = self.ready.remove(key)?;
        if let Some(planes) = self.queues.get_mut(&ready.pool) {
            if let Some(queue) = planes.get_mut(&key.plane) {
                queue.remove(&(ready.since, *key));
                if queue.is_empty() {
                    planes.remove(&key.plane);
                }
            }
            if planes.is_empty() {
                self.queues.remove(&ready.pool);
            }
        }
        Some(ready)
    }
}

#[cfg(test)]
mod tests;
