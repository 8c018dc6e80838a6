//! The stores, and what a caller of all three would remember.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use ag_store::{Store, StoreError, fake::MovableClock};
use ag_types::{PlaneKey, RunKey, SessionId, TenantScope};

use super::random::Random;
use crate::build::SYSTEM;

/// A store as callers and runners see it.
pub(super) struct Backend {
    pub(super) name: &'static str,
    pub(super) api: Arc<dyn Store>,
    pub(super) engine: Arc<dyn Store>,
    /// Epochs differ: where leases are in memory they rise over all runs.
    pub(super) epochs: HashMap<(RunKey, SessionId), i64>,
}

impl Backend {
    pub(super) fn new(name: &'static str, api: Arc<dyn Store>, engine: Arc<dyn Store>) -> Self {
        Self {
            name,
            api,
            engine,
            epochs: HashMap::new(),
        }
    }
}

/// A run as its holder knows it; he may have lost it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) key: RunKey,
    pub(super) session: SessionId,
    pub(super) rev: i32,
    pub(super) last_seq: i64,
    pub(super) mail_in: i64,
    pub(super) seen: i64,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) clock: Arc<MovableClock>,
    pub(super) backends: Vec<Backend>,
    pub(super) scopes: Vec<TenantScope>,
    pub(super) runs: Vec<RunKey>,
    pub(super) held: Vec<Held>,
    pub(super) sessions: Vec<SessionId>,
    pub(super) commands: Vec<(TenantScope, String)>,
    pub(super) numbers: u64,
    seed: u64,
    log: Vec<String>,
}

/// An answer without what may differ.
pub(super) fn text<T: Debug>(answer: &Result<T, StoreError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::SessionLost) => "session lost".to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

impl World {
    pub(super) async fn new(seed: u64, clock: Arc<MovableClock>, backends: Vec<Backend>) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            clock,
            backends,
            scopes: vec![TenantScope::root()],
            runs: Vec::new(),
            held: Vec::new(),
            sessions: Vec::new(),
            commands: Vec::new(),
            numbers: 0,
            seed,
            log: Vec::new(),
        };
        let key = PlaneKey {
            tenant_id: "acme".into(),
            runtime_id: "alice".into(),
        };
        let mut other = Vec::new();
        for backend in &world.backends {
            other.push(backend.api.plane(&SYSTEM, &key).await.expect("plane"));
        }
        assert!(other.iter().all(|scope| *scope == other[0]));
        world.scopes.extend(other.into_iter().next());
        world
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn scope(&mut self) -> TenantScope {
        let place = usize::from(self.random.percent(25));
        self.scopes[place].clone()
    }

    pub(super) fn scope_of(&self, key: RunKey) -> TenantScope {
        let mut scopes = self.scopes.iter();
        scopes
            .find(|scope| scope.plane == key.plane)
            .expect("a known plane")
            .clone()
    }

    /// A run of a plane.
    pub(super) fn run_of(&mut self, scope: &TenantScope) -> Option<RunKey> {
        let runs: Vec<_> = self
            .runs
            .iter()
            .filter(|key| key.plane == scope.plane)
            .copied()
            .collect();
        // The latest ones are those about which something happens.
        let first = runs.len().saturating_sub(12);
        self.random.of(&runs[first..]).copied()
    }

    pub(super) fn note(&mut self, line: String) {
        self.log.push(line);
    }

    /// All answers are the same.
    pub(super) fn agree(&self, what: &str, answers: &[String]) {
        let first = &answers[0];
        for (backend, answer) in self.backends.iter().zip(answers) {
            let (one, other) = (self.backends[0].name, backend.name);
            assert!(
                answer == first,
                "seed {}: {what}\n{one}: {first}\n{other}: {answer}\nafter\n{}",
                self.seed,
                self.log[self.log.len().saturating_sub(30)..].join("\n")
            );
        }
    }
}
