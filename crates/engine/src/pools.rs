//! Which runner executes what (architecture D17, D19).
//!
//! A run belongs to one pool at a time: the one of the node it stands on (`data.pool`), else its own. Its own is the
//! manifest's `metadata.pool` or `default`; a child's is that of the node that made it. While a run visits another
//! pool, its own is remembered in its state. A runner hands a run over before the step that belongs elsewhere.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ag_kernel::Workflow;
use ag_store::{PoolLoad, Store};
use ag_telemetry::metrics::{HEADS, OLDEST_READY, POOL_RUNNERS};
use ag_types::{Object, SystemScope, Timestamp};
use parking_lot::{Mutex, RwLock};
use serde_json::Value;

use crate::Held;

/// How long a pool must have been seen without a runner before runs are told: runners come up, and are replaced.
pub const POOL_GRACE: Duration = Duration::from_secs(30);

/// Pools that have runners, as this process last saw them.
#[derive(Debug)]
pub struct LivePools {
    grace: Duration,
    seen: RwLock<Option<Seen>>,
    /// Pools with runs that wait for a runner.
    busy: RwLock<Vec<Arc<str>>>,
    /// Pools whose gauges are above zero.
    shown: Mutex<HashSet<Arc<str>>>,
}

/// What the looks at the pools have shown.
#[derive(Debug)]
struct Seen {
    first: Timestamp,
    last: Timestamp,
    /// When each pool was last seen with a runner.
    served: HashMap<Arc<str>, Timestamp>,
}

impl Default for LivePools {
    fn default() -> Self {
        Self::with_grace(POOL_GRACE)
    }
}

impl LivePools {
    /// Nothing is known yet.
    pub fn with_grace(grace: Duration) -> Self {
        Self {
            grace,
            seen: RwLock::default(),
            busy: RwLock::default(),
            shown: Mutex::default(),
        }
    }

    /// Asks the store, and shows the answer as metrics. A failure leaves what is known as it is.
    pub async fn look(&self, store: &dyn Store, now: Timestamp) {
        let loads = match store.pools(&SystemScope::new("pools and their runners")).await {
            Ok(loads) => loads,
            Err(error) => {
                tracing::warn!(%error, "cannot look at the pools");
                return;
            }
        };
        let mut shown = self.shown.lock();
        shown.retain(|pool| {
            let still = loads.iter().any(|load| load.pool == *pool);
            if !still {
                show(pool, 0, 0, 0, 0.0);
            }
            still
        });
        for load in &loads {
            let age = load
                .oldest_ready
                .map_or(0, |since| now.micros_since(since).max(0));
            show(
                &load.pool,
                load.runners,
                load.ready,
                load.leased,
                age as f64 / 1e6,
            );
            shown.insert(load.pool.clone());
        }
        drop(shown);
        self.note(&loads, now);
        for load in &loads {
            if load.ready > 0 && self.lacks(&load.pool) {
                tracing::warn!(
                    pool = &*load.pool,
                    ready = load.ready,
                    "runs wait in a pool that no runner serves"
                );
            }
        }
        *self.busy.write() = loads
            .into_iter()
            .filter(|load| load.ready > 0)
            .map(|load| load.pool)
            .collect();
    }

    fn note(&self, loads: &[PoolLoad], now: Timestamp) {
        let mut seen = self.seen.write();
        let seen = seen.get_or_insert_with(|| Seen {
            first: now,
            last: now,
            served: HashMap::new(),
        });
        seen.last = now;
        // Forgotten once it makes no difference any more.
        let grace = micros(self.grace);
        seen.served.retain(|_, at| now.micros_since(*at) <= grace);
        for load in loads.iter().filter(|load| load.runners > 0) {
            seen.served.insert(load.pool.clone(), now);
        }
    }

    /// Pools with runs that wait for a runner.
    pub fn busy(&self) -> Vec<Arc<str>> {
        self.busy.read().clone()
    }

    /// True if no runner has served the pool for a while, and this process has looked for as long.
    pub fn lacks(&self, pool: &str) -> bool {
        let grace = micros(self.grace);
        self.seen.read().as_ref().is_some_and(|seen| {
            let since = seen.served.get(pool).copied();
            let alone_for = seen.last.micros_since(since.unwrap_or(seen.first));
            // Without a grace the last look alone counts.
            alone_for >= grace && since != Some(seen.last)
        })
    }

    /// False once it is known that all runners are in one pool and all work with them.
    pub fn are_several(&self) -> bool {
        let seen = self.seen.read();
        let Some(seen) = seen.as_ref() else { return true };
        let busy = self.busy.read();
        let pools: HashSet<&Arc<str>> = seen.served.keys().chain(busy.iter()).collect();
        pools.len() > 1
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn show(pool: &str, runners: i64, ready: i64, leased: i64, oldest_s: f64) {
    POOL_RUNNERS.with([pool]).set(runners as f64);
    HEADS.with([pool, "ready"]).set(ready as f64);
    HEADS.with([pool, "leased"]).set(leased as f64);
    OLDEST_READY.with([pool]).set(oldest_s);
}

/// What a runner is and can do.
#[derive(Debug)]
pub struct Place {
    pool: Arc<str>,
    alone: bool,
    workspace: bool,
    live: Arc<LivePools>,
}

/// Why a runner cannot execute a run that others may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Its flow has file or tool nodes, and the workspaces are not mounted here.
    Workspace,
    /// Its flow has nodes of a type that only newer runners know.
    NodeType(String),
}

impl Unfit {
    /// Short name for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::NodeType(_) => "node_type",
        }
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workspace => {
                f.write_str("its flow has file or tool nodes and this runner has no workspaces")
            }
            Self::NodeType(kind) => write!(f, "this runner does not know node type '{kind}'"),
        }
    }
}

impl Place {
    /// A runner of a pool among others.
    pub fn in_pool(pool: Arc<str>, workspace: bool, live: Arc<LivePools>) -> Self {
        Self {
            pool,
            alone: false,
            workspace,
            live,
        }
    }

    /// The only runner there is: it executes everything.
    pub fn alone(pool: Arc<str>) -> Self {
        Self {
            pool,
            alone: true,
            workspace: true,
            live: Arc::default(),
        }
    }

    /// Whether it is the only runner.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Its pool.
    pub fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// What is known of other pools.
    pub fn live(&self) -> &Arc<LivePools> {
        &self.live
    }

    /// Whether mail may reach runs that other runners execute.
    pub fn is_mixed(&self) -> bool {
        !self.alone && self.live.are_several()
    }

    /// Why this runner should leave the run to others.
    pub fn unfit(&self, held: &Held, workflow: &dyn Workflow) -> Option<Unfit> {
        if self.alone {
            return None;
        }
        if !self.workspace && workflow.needs_workspace() {
            return Some(Unfit::Workspace);
        }
        let accepted = &held.tick.aux.foreign_types;
        let newer = workflow
            .unknown_types()
            .iter()
            .find(|kind| !accepted.iter().any(|known| **known == ***kind));
        newer.map(|kind| Unfit::NodeType(kind.to_string()))
    }

    /// Settles where the next step of a run belongs. `true` if that is elsewhere: the run then has to rest, and its
    /// next commit carries the pool.
    pub fn moves(&self, held: &mut Held, workflow: &dyn Workflow) -> bool {
        if self.alone {
            if held.pool != self.pool {
                held.tick.aux.home_pool = None;
                held.pending.pool = Some(self.pool.clone());
                held.pool = self.pool.clone();
            }
            return false;
        }
        let pinned = workflow
            .pool(&held.tick.run.current_node)
            .filter(|pool| is_pool_name(pool));
        let aux = &mut held.tick.aux;
        let wanted = pinned.or(aux.home_pool.as_deref()).unwrap_or(&held.pool);
        if *wanted == *self.pool && held.pool == self.pool {
            return false;
        }
        let wanted: Arc<str> = wanted.into();
        let home = aux.home_pool.take().unwrap_or_else(|| held.pool.to_string());
        aux.home_pool = (*home != *wanted).then_some(home);
        held.pending.pool = (held.pool != wanted).then(|| wanted.clone());
        if wanted == self.pool {
            // A hint led here from another pool; the run goes on here.
            held.pool = wanted;
            return false;
        }
        if self.live.lacks(&wanted) {
            warn_of(&wanted, &mut held.tick.run.vars);
        }
        true
    }
}

/// Adds the flow warning about a pool without runners.
pub(crate) fn warn_of(pool: &str, vars: &mut Object) {
    let warning = Value::from(format!("no runner serves pool '{pool}'; the run waits for one"));
    match vars.get_mut("_flow_warnings") {
        Some(Value::Array(warnings)) if warnings.contains(&warning) => {}
        Some(Value::Array(warnings)) => warnings.push(warning),
        _ => {
            vars.insert("_flow_warnings".to_owned(), Value::Array(vec![warning]));
        }
    }
}

/// `[a-z0-9-]{1,32}` (architecture D1): the name is part of a broker subject.
pub(crate) fn is_pool_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(pools: &[(&str, i64)]) -> Vec<PoolLoad> {
        let load = |(pool, runners): &(&str, i64)| PoolLoad {
            pool: (*pool).into(),
            runners: *runners,
            ready: 1,
            leased: 0,
            oldest_ready: None,
        };
        pools.iter().map(load).collect()
    }

    #[test]
    fn a_pool_is_missed_after_a_while() {
        let pools = LivePools::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert!(!pools.lacks("gpu"), "nothing is known");
        assert!(pools.are_several());
        // seconds, runners of gpu, whether gpu is missed then
        let looks = [
            (0, 0, false),
            (15, 0, false),
            (29, 0, false),
            (30, 0, true),
            (45, 1, false),
            (60, 0, false),
            (74, 0, false),
            (75, 0, true),
            (90, 0, true),
        ];
        for (seconds, runners, missed) in looks {
            pools.note(&loads(&[("default", 1), ("gpu", runners)]), at(seconds));
            assert_eq!(pools.lacks("gpu"), missed, "after {seconds} s");
            assert!(!pools.lacks("default"));
        }
        assert!(!pools.are_several(), "nobody serves gpu");
        pools.note(&loads(&[("default", 1), ("gpu", 1)]), at(105));
        assert!(pools.are_several());
        let hasty = LivePools::with_grace(Duration::ZERO);
        hasty.note(&loads(&[("default", 1)]), at(0));
        assert!(hasty.lacks("gpu") && !hasty.lacks("default"));
    }
}
