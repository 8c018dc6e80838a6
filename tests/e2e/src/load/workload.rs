//! What the clients did and were told: the memory against which the gateway is checked.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};

use super::flows::Kind;

/// A command and what became of it. Sent again under the same id until it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) payload: Value,
    /// `seq` of the first answer.
    pub(super) acknowledged: Option<u64>,
}

/// An accepted run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    /// Unique; part of the prompts.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// In order; each is sent when the one before it was answered.
    pub(super) commands: Vec<Command>,
    /// Digests of the records that were read.
    pub(super) seen: Vec<u64>,
    /// First terminal status that was read.
    pub(super) ended: Option<String>,
    /// Calls in the journal when the completion of a call was first read, by node.
    pub(super) calls_at_completion: HashMap<&'static str, usize>,
    /// A worker is busy with it.
    pub(super) busy: bool,
}

/// Size and manners of a workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Begins the names of its runs, which must be unique in a store.
    pub(crate) prefix: &'static str,
    /// Runs kept in flight.
    pub(crate) in_flight: usize,
    /// Starts per second at most.
    pub(crate) starts_per_s: f64,
    /// What the runs do, the more often the more often it is named.
    pub(crate) kinds: &'static [Kind],
    /// Whether clients take 503 for an answer that means "again, please". Else it is a violation.
    pub(crate) patient: bool,
}

/// All clients together.
#[derive(Debug)]
pub(crate) struct Workload {
    plan: Plan,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) runs: Vec<Run>,
    /// Starts that got no answer; they are sent again under the same key.
    again: Vec<(String, Kind)>,
    /// Indexes of runs that have not been seen terminal.
    open: Vec<usize>,
    down: bool,
    names: u64,
    /// Starts without an answer: they may or may not exist.
    pub(crate) unanswered_starts: u64,
    pub(super) resent_commands: u64,
    /// Runs that were parked after three deaths and let go on.
    pub(super) parked: u64,
    /// Answers 503.
    pub(super) unavailable: u64,
    /// Violations that a client saw on the way: invariant and text.
    pub(crate) violations: Vec<(&'static str, String)>,
}

/// What a worker does next.
pub(super) enum Task {
    Start { name: String, kind: Kind },
    Tend(usize),
    Nothing,
}

impl Workload {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    pub(super) fn is_patient(&self) -> bool {
        self.plan.patient
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers begin.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        state.down = false;
        for run in &mut state.runs {
            run.busy = false;
        }
    }

    /// Workers end.
    pub(crate) fn halt(&self) {
        self.lock().down = true;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.lock().down
    }

    pub(crate) fn accepted(&self) -> usize {
        self.lock().runs.len()
    }

    pub(super) fn open(&self) -> Vec<usize> {
        self.lock().open.clone()
    }

    /// A start that still wants its answer.
    pub(super) fn unanswered(&self) -> Option<(String, Kind)> {
        self.lock().again.pop()
    }

    /// One of the runs in flight, for a reader.
    pub(crate) fn any_open(&self, rng: &mut StdRng) -> Option<String> {
        let state = self.lock();
        let open = &state.open;
        (!open.is_empty()).then(|| state.runs[open[rng.random_range(0..open.len())]].id.clone())
    }

    /// Starts a run while there are too few, else looks after one of those in flight.
    pub(super) fn next(&self, rng: &mut StdRng) -> Task {
        let due = self.began.elapsed().as_secs_f64() * self.plan.starts_per_s;
        let mut state = self.lock();
        if let Some((name, kind)) = state.again.pop() {
            return Task::Start { name, kind };
        }
        if state.open.len() < self.plan.in_flight && (state.names as f64) < due {
            state.names += 1;
            let name = format!("{}{}", self.plan.prefix, state.names);
            let kinds = self.plan.kinds;
            let kind = kinds[rng.random_range(0..kinds.len())];
            return Task::Start { name, kind };
        }
        if state.open.is_empty() {
            return Task::Nothing;
        }
        let index = state.open[rng.random_range(0..state.open.len())];
        if std::mem::replace(&mut state.runs[index].busy, true) {
            return Task::Nothing;
        }
        Task::Tend(index)
    }

    /// The gateway has accepted a run.
    pub(super) fn started(&self, id: String, name: String, kind: Kind) {
        let commands = if kind == Kind::PausedTimers {
            vec![
                command(&name, "pause", json!({"reason": "hold"})),
                command(&name, "resume", json!({})),
            ]
        } else {
            Vec::new()
        };
        let mut state = self.lock();
        let index = state.runs.len();
        state.open.push(index);
        state.runs.push(Run {
            id,
            name,
            kind,
            commands,
            seen: Vec::new(),
            ended: None,
            calls_at_completion: HashMap::new(),
            busy: false,
        });
    }

    /// A start got no answer.
    pub(super) fn not_started(&self, name: String, kind: Kind) {
        let mut state = self.lock();
        state.unanswered_starts += 1;
        state.again.push((name, kind));
    }

    pub(super) fn run(&self, index: usize) -> Run {
        self.lock().runs[index].clone()
    }

    pub(super) fn release(&self, index: usize) {
        self.lock().runs[index].busy = false;
    }
}

impl State {
    /// Nobody looks after this run any more.
    pub(super) fn give_up(&mut self, index: usize) {
        self.open.retain(|&open| open != index);
    }

    /// A terminal status was read; another one was read before: I8.
    pub(super) fn saw_end(&mut self, index: usize, status: &str) {
        let run = &mut self.runs[index];
        match &run.ended {
            None => run.ended = Some(status.to_owned()),
            Some(first) if first != status => {
                let text = format!("run {} was {first} and is {status}", run.id);
                self.violations.push(("I8", text));
            }
            Some(_) => {}
        }
        self.open.retain(|&open| open != index);
    }

    /// Records were read; what was read before must still be there (I4).
    pub(super) fn saw_records(&mut self, index: usize, records: &[Value]) {
        let digests: Vec<_> = records.iter().map(digest).collect();
        let run = &mut self.runs[index];
        let common = run.seen.len().min(digests.len());
        if run.seen[..common] != digests[..common] {
            let text = format!("run {}: records that were read have changed", run.id);
            self.violations.push(("I4", text));
        } else if digests.len() > run.seen.len() {
            run.seen = digests;
        }
    }
}

pub(super) fn command(name: &str, kind: &'static str, payload: Value) -> Command {
    Command {
        id: format!("cmd-{name}-{kind}"),
        kind,
        payload,
        acknowledged: None,
    }
}

/// Order of keys included: the text of a record must not change.
fn digest(record: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_records_and_ends_are_found() {
        let (a, b) = (json!({"n": 1}), json!({"n": 2}));
        let workload = Workload::new(Plan {
            prefix: "",
            in_flight: 1,
            starts_per_s: 1.0,
            kinds: &Kind::ALL,
            patient: false,
        });
        workload.started("r".to_owned(), "1".to_owned(), Kind::Chain);
        let mut state = workload.lock();
        let both = [a.clone(), b.clone()];
        state.saw_records(0, &both[..1]);
        state.saw_records(0, &both);
        // A page that is older than one already read is no change.
        state.saw_records(0, &both[..1]);
        state.saw_end(0, "completed");
        state.saw_end(0, "completed");
        assert!(state.violations.is_empty(), "{:?}", state.violations);
        state.saw_records(0, &[b, a]);
        state.saw_end(0, "cancelled");
        let found: Vec<_> = state.violations.iter().map(|(invariant, _)| *invariant).collect();
        assert_eq!(found, ["I4", "I8"]);
    }
}
