//! What the clients did and were told: the memory against which the gateway is checked.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};

use super::flows::Kind;

/// A command and what became of it. Sent again under the same id until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) payload: Value,
    /// `seq` of the first answer.
    pub(super) acknowledged: Option<u64>,
}

/// An accepted run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) id: String,
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

/// All clients together.
#[derive(Debug)]
pub(super) struct Workload {
    target: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) runs: Vec<Run>,
    /// Indexes of runs that have not been seen terminal.
    open: Vec<usize>,
    down: bool,
    names: u64,
    /// Starts without an answer: they may or may not exist.
    pub(super) unanswered_starts: u64,
    pub(super) resent_commands: u64,
    /// Violations that a client saw on the way: invariant and text.
    pub(super) violations: Vec<(&'static str, String)>,
}

/// What a worker does next.
pub(super) enum Task {
    Start { name: String, kind: Kind },
    Tend(usize),
    Nothing,
}

impl Workload {
    pub(super) fn new(target: usize) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_epoch(&self) {
        let mut state = self.lock();
        state.down = false;
        for run in &mut state.runs {
            run.busy = false;
        }
    }

    /// The process is gone; workers end.
    pub(super) fn crashed(&self) {
        self.lock().down = true;
    }

    pub(super) fn is_down(&self) -> bool {
        self.lock().down
    }

    pub(super) fn accepted(&self) -> usize {
        self.lock().runs.len()
    }

    pub(super) fn open(&self) -> Vec<usize> {
        self.lock().open.clone()
    }

    /// Starts a run while there are too few, else looks after one of those in flight.
    pub(super) fn next(&self, rng: &mut StdRng) -> Task {
        let mut state = self.lock();
        if state.open.len() < self.target {
            state.names += 1;
            let name = state.names.to_string();
            let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
            return Task::Start { name, kind };
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

    pub(super) fn run(&self, index: usize) -> Run {
        self.lock().runs[index].clone()
    }

    pub(super) fn release(&self, index: usize) {
        self.lock().runs[index].busy = false;
    }
}

impl State {
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
        let workload = Workload::new(1);
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
