//! What is read of runs and ledgers.

use std::sync::Arc;

use ag_types::{RunHead, RunId, RunKey, RunStatus, SystemScope, TenantScope, Timestamp, WaitReason};
use async_trait::async_trait;

use crate::{Result, RunColumns, Segment};

/// A whole run.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Identity.
    pub head: RunHead,
    /// State.
    pub columns: RunColumns,
    /// Revision.
    pub rev: i32,
    /// Last ledger sequence number.
    pub last_seq: i64,
    /// Bundle it executes.
    pub bundle_sha256: Option<Arc<str>>,
}

/// A line of the run list; no state is read.
#[derive(Debug, Clone)]
pub struct RunListRow {
    /// Identity.
    pub head: RunHead,
    /// Status.
    pub status: RunStatus,
    /// Reason of the wait.
    pub wait_reason: Option<WaitReason>,
    /// Due time of an `until` wait.
    pub wait_until: Option<Timestamp>,
    /// Sanitised `_run_lifecycle`.
    pub lifecycle: Option<Arc<str>>,
    /// Last commit.
    pub updated_at: Timestamp,
    /// Last ledger sequence number = its length.
    pub last_seq: i64,
    /// Sums.
    pub counters: crate::Counters,
}

/// Filter of the run list. Order: `updated_at` descending, then `run_id`.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Exact status.
    pub status: Option<RunStatus>,
    /// Exact workflow id. Without it, workflows that start with `__` are left out.
    pub workflow_id: Option<String>,
    /// Exact session.
    pub session_id: Option<String>,
    /// Only runs without a parent.
    pub root_only: bool,
    /// Also runs whose lifecycle purpose is `draft_test`.
    pub include_drafts: bool,
    /// Only runs created at or before this time (session turns).
    pub created_until: Option<Timestamp>,
    /// At most this many.
    pub limit: usize,
}

/// A run related to another one (child, descendant).
#[derive(Debug, Clone)]
pub struct RelatedRun {
    /// Identity.
    pub head: RunHead,
    /// Status.
    pub status: RunStatus,
    /// Last ledger sequence number.
    pub last_seq: i64,
}

/// A consistent page: `status` terminal implies that all records up to `last_seq` exist.
#[derive(Debug, Clone)]
pub struct LedgerPage {
    /// Status of the run.
    pub status: RunStatus,
    /// Last sequence number of the run.
    pub last_seq: i64,
    /// Segments that contain the wanted records; the first may begin before the cursor.
    pub segments: Vec<Segment>,
    /// The cursor asked for.
    pub after: i64,
    /// Most records wanted.
    pub limit: usize,
}

impl LedgerPage {
    /// The wanted records: sequence number and raw JSON line.
    pub fn records(&self) -> impl Iterator<Item = (i64, &str)> {
        self.segments
            .iter()
            .flat_map(|segment| (segment.first_seq..).zip(segment.lines.split('\n')))
            .filter(|(seq, _)| *seq > self.after)
            .take(self.limit)
    }
}

/// Where a run's ledger ends; what a node asks for all its quiet streams at once.
#[derive(Debug, Clone, Copy)]
pub struct Tail {
    /// Run.
    pub key: RunKey,
    /// Last sequence number.
    pub last_seq: i64,
    /// Status.
    pub status: RunStatus,
}

/// A run that waits for an event.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Run.
    pub run_id: RunId,
    /// Workflow it executes.
    pub workflow_id: Arc<str>,
    /// Key it waits on.
    pub wait_key: Arc<str>,
}

/// Reads.
#[async_trait]
pub trait RunReads: Send + Sync {
    /// A run with its state.
    async fn run(&self, scope: &TenantScope, run: RunId) -> Result<Option<RunRow>>;
    /// The run list.
    async fn runs(&self, scope: &TenantScope, filter: RunFilter) -> Result<Vec<RunListRow>>;
    /// Children in order of creation.
    async fn children(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>>;
    /// Descendants breadth-first, siblings by creation, at most `limit`.
    async fn descendants(&self, scope: &TenantScope, run: RunId, limit: usize) -> Result<Vec<RelatedRun>>;
    /// The nearest live runs below `run`: children, and through terminal children their children, and so on.
    async fn live_below(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>>;
    /// Records after a cursor.
    async fn ledger(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>>;
    /// Tails of many runs in one statement.
    async fn tails(&self, scope: &SystemScope, keys: &[RunKey]) -> Result<Vec<Tail>>;
    /// Runs that wait on exactly this key with reason `event`, are not paused and have no unread mail that ends a
    /// wait; ordered by creation, at most 10,000.
    async fn listeners(&self, scope: &TenantScope, wait_key: &str) -> Result<Vec<Listener>>;
    /// Event waits of a session, at most `limit` (for `available_listeners_in_session`).
    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>>;
}
