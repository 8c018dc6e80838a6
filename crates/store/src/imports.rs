//! Bulk storing of what another system of record holds.
//!
//! An import goes in this order, so that it can be killed anywhere and repeated:
//!
//! 1. [`ImportStore::import`] stores runs with their whole ledgers, and everything that is not addressed to a run. A
//!    run row means that its ledger is complete; runs have no heads yet, so nothing moves.
//! 2. [`ImportStore::import_heads`] gives the live ones heads at rest: commands can be posted to them.
//! 3. [`ImportStore::import_wakes`] sets timers, makes runs ready and delivers the ends of children.
//!
//! No step touches what a gateway has done since: rows that exist stay, heads are made only for live runs without
//! one and wakes reach only runs of revision 0, which no holder has committed.

use std::{collections::HashSet, sync::Arc};

use ag_types::{RunId, SystemScope, TenantScope, Timestamp};
use async_trait::async_trait;

use crate::{
    ArtifactRow, Assertion, CommandRow, Document, DocumentKind, MailKind, NewRun, OwnerRow, Result, Segment,
    SpanEntry,
};

/// Rows to store in one transaction.
#[derive(Debug, Default)]
pub struct ImportBatch {
    /// First segments of long ledgers whose runs come in a later batch. A segment with `first_seq` 1 replaces what an
    /// interrupted import left of that ledger.
    pub ledgers: Vec<(RunId, Vec<Segment>)>,
    /// Runs with the rest of their ledgers; the placement does not count.
    pub runs: Vec<NewRun>,
    /// Commands that have been applied, with the time of their acceptance.
    pub commands: Vec<(CommandRow, Timestamp)>,
    /// Artifacts.
    pub artifacts: Vec<ArtifactRow>,
    /// Memory owners.
    pub owners: Vec<OwnerRow>,
    /// Spans of runs and owners: all of them where the run or owner is new in this batch, otherwise those that the
    /// owner does not hold yet.
    pub spans: Vec<SpanEntry>,
    /// Statements of the knowledge graph, whoever owns them. Their ids tell whether they are stored.
    pub statements: Vec<Assertion>,
    /// Documents.
    pub documents: Vec<(DocumentKind, Document)>,
}

impl ImportBatch {
    /// True when there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.ledgers.is_empty()
            && self.runs.is_empty()
            && self.commands.is_empty()
            && self.artifacts.is_empty()
            && self.owners.is_empty()
            && self.spans.is_empty()
            && self.statements.is_empty()
            && self.documents.is_empty()
    }
}

/// Rows that were not there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Runs.
    pub runs: u64,
    /// Commands.
    pub commands: u64,
    /// Artifacts.
    pub artifacts: u64,
    /// Memory owners.
    pub owners: u64,
    /// Spans of memory.
    pub spans: u64,
    /// Statements of the knowledge graph.
    pub statements: u64,
    /// Documents.
    pub documents: u64,
}

impl std::ops::AddAssign for ImportCounts {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.commands += other.commands;
        self.artifacts += other.artifacts;
        self.owners += other.owners;
        self.spans += other.spans;
        self.statements += other.statements;
        self.documents += other.documents;
    }
}

/// What sets an imported run in motion.
#[derive(Debug, Clone)]
pub struct ImportWake {
    /// Run.
    pub run: RunId,
    /// A runner should claim it.
    pub ready: bool,
    /// Its timer.
    pub wake_at: Option<Timestamp>,
    /// Mail to it. A kind of which the run has unread mail is not delivered again.
    pub mail: Vec<(MailKind, Arc<str>)>,
}

/// Bulk writes.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Who works on this database right now and would race with an import, as a text for people.
    async fn in_use(&self, scope: &SystemScope) -> Result<Option<String>>;
    /// Which of these runs are stored.
    async fn stored_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<HashSet<RunId>>;
    /// Stores what is not there yet, in one transaction.
    async fn import(&self, scope: &TenantScope, batch: ImportBatch) -> Result<ImportCounts>;
    /// Heads at rest, with their pools, for those of the runs that are live and have none; how many were made.
    async fn import_heads(&self, scope: &TenantScope, heads: &[(RunId, Arc<str>)]) -> Result<u64>;
    /// See [`ImportWake`]; how many runs were changed.
    async fn import_wakes(&self, scope: &TenantScope, wakes: &[ImportWake]) -> Result<u64>;
    /// The number of the plane's last command becomes at least this.
    async fn raise_command_seq(&self, scope: &TenantScope, seq: i64) -> Result<()>;
}
