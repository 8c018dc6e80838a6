//! What a plan knows: the stored facts of every run it touches, and its own changes to them.

use std::{collections::HashMap, sync::Arc};

use ag_store::leases::Lease;
use ag_types::{PlaneId, RunId, RunKey, SessionId, Timestamp};

/// Counters of a plane that only the writer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaneFacts {
    pub generation: i64,
    pub command_seq: i64,
}

/// Planes the writer has read; dropped when a direct operation changes one.
pub(crate) type Planes = HashMap<PlaneId, PlaneFacts>;

/// What a fence compares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunFacts {
    pub rev: i32,
    pub epoch: i64,
}

/// The head of a live run.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub pool: Arc<str>,
    pub mail_in: i64,
    pub ready_at: Option<Timestamp>,
    pub wake_at: Option<Timestamp>,
    pub crashes: i64,
    /// Epoch of the claim whose drive was noted; `None` once that claim is over.
    pub driven_epoch: Option<i64>,
}

/// One run: stored facts, overlaid by what the plan has decided so far.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// `None`: no such run.
    pub run: Option<RunFacts>,
    /// `None`: ended.
    pub head: Option<Head>,
    /// Owner, as it will be after the commit.
    pub lease: Option<Lease>,
    /// The head has a row.
    pub stored: bool,
    /// The head differs from its row.
    pub changed: bool,
    /// The owner changes: the run is released (`lease` is `None`) or held from birth.
    pub moved: bool,
}

/// A stored start key.
#[derive(Debug, Clone)]
pub(crate) struct KeyFacts {
    pub body_sha256: Vec<u8>,
    pub run: RunId,
    pub created_at: Timestamp,
}

/// See the module.
pub(crate) struct State {
    /// The store's time of this transaction.
    pub now: Timestamp,
    /// Look for what a repeated start has written before.
    pub careful: bool,
    pub entries: HashMap<RunKey, Entry>,
    pub start_keys: HashMap<(PlaneId, String), KeyFacts>,
    /// Command id to its number.
    pub commands: HashMap<(PlaneId, String), i64>,
    pub planes: Planes,
    /// Heads whose timer was due when the plan began.
    pub due: Vec<RunKey>,
    /// Sessions that end in this plan, with their runs.
    pub closing: HashMap<SessionId, Vec<RunKey>>,
    /// Runs of dead sessions.
    pub orphans: Vec<RunKey>,
    /// Runs whose cancel is overdue.
    pub overdue: Vec<RunKey>,
}

impl State {
    pub(crate) fn entry(&mut self, key: RunKey) -> &mut Entry {
        self.entries.entry(key).or_default()
    }

    /// True if the run can receive mail.
    pub(crate) fn is_live(&self, key: &RunKey) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.head.is_some())
    }
}

impl Entry {
    /// Ends an ownership; a crash counts against the run if it is the first one, or if the run was being driven. The
    /// head is ready from now.
    pub(crate) fn release(&mut self, now: Timestamp, crashed: bool) {
        self.lease = None;
        self.moved = true;
        if let Some(head) = &mut self.head {
            let driven = head.driven_epoch.take().is_some();
            self.changed |= driven;
            if crashed && (head.crashes == 0 || driven) {
                head.crashes += 1;
                self.changed = true;
            }
            // The row of an owned run is ready already; only the place in the queue in memory is new.
            self.changed |= head.ready_at.is_none();
            head.ready_at = Some(now);
        }
    }
}
