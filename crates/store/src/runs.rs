//! The write path of runs: starts, sessions, claims, commits, mail, sweeps.
//!
//! Invariants (S1–S8 of the store protocol), checked by the conformance suite:
//! * a head that nobody owns, that is not ready and has no timer has no mail above what its last holder saw;
//! * state, records, mail, children and head of a run change only in a call that matches (session, epoch, rev);
//! * mail numbers of a run are dense and become visible in order;
//! * a terminal run has no head and cannot end with unread mail.

mod mail;

use std::sync::Arc;

use ag_types::{
    PlaneId, RunHead, RunId, RunKey, RunStatus, SessionId, SystemScope, TenantScope, Timestamp, WaitReason,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use mail::{Mail, MailKind, OutMail};

use crate::{ArtifactRow, MemoryRow, OwnerRow, Result};

/// Sums kept at commit, so that lists never scan ledgers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Completed records.
    pub steps: i32,
    /// Completed model calls.
    pub llm_calls: i32,
    /// Calls inside completed tool batches.
    pub tool_calls: i32,
    /// Sum of `result.usage.total_tokens`.
    pub tokens_total: i64,
}

/// The mutable columns of a run. JSON is text whose key order survives.
#[derive(Debug, Clone, PartialEq)]
pub struct RunColumns {
    /// Status.
    pub status: RunStatus,
    /// Node that executes or rests.
    pub current_node: String,
    /// Reason of the wait, if any.
    pub wait_reason: Option<WaitReason>,
    /// Key of the wait, searched by events.
    pub wait_key: Option<String>,
    /// Due time of an `until` wait, for lists.
    pub wait_until: Option<Timestamp>,
    /// `_runtime.control.paused`.
    pub paused: bool,
    /// Failure text or cancel reason.
    pub error: Option<String>,
    /// The nine-key wait object.
    pub wait: Option<Arc<str>>,
    /// Run variables.
    pub vars: Arc<str>,
    /// The engine's own state (open effect, visits, held mail); opaque to the store.
    pub meta: Arc<str>,
    /// Output of a completed run.
    pub output: Option<Arc<str>>,
    /// Sanitised `_run_lifecycle`, for lists.
    pub lifecycle: Option<Arc<str>>,
    /// Sums.
    pub counters: Counters,
    /// Time of the commit (domain time).
    pub updated_at: Timestamp,
}

/// Consecutive ledger records as raw JSON lines joined by `\n`: at most 64 records or 32 KiB by convention of the
/// writer, one row each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number of the first line.
    pub first_seq: i64,
    /// Sequence number of the last line.
    pub last_seq: i64,
    /// The lines.
    pub lines: Arc<str>,
}

/// How a new run enters the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Ready: somebody should claim it.
    Ready,
    /// Held by the writing session from birth (a child its parent goes on with, a first tick taken over).
    Held {
        /// Holder.
        session: SessionId,
        /// Epoch of the holder; 1 for a new run.
        epoch: i64,
    },
    /// At rest, with an optional timer.
    Rest {
        /// Due time of the timer.
        wake_at: Option<Timestamp>,
    },
    /// Ended already: no head is made.
    Terminal,
}

/// A run to insert; its revision is 0.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Identity.
    pub head: RunHead,
    /// Pool that should execute it.
    pub pool: Arc<str>,
    /// sha256 (hex) of the bundle it keeps executing; `None` for dynamic flows.
    pub bundle_sha256: Option<Arc<str>>,
    /// State.
    pub columns: RunColumns,
    /// First ledger records.
    pub segments: Vec<Segment>,
    /// Last sequence number in `segments`, 0 without records.
    pub last_seq: i64,
    /// Where it stands.
    pub placement: Placement,
}

/// A client's key for a repeatable start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartKey {
    /// Value of the `Idempotency-Key` header.
    pub key: String,
    /// Hash of the request body.
    pub body_sha256: [u8; 32],
    /// Keys older than this are forgotten (24 h before now).
    pub expires_before: Timestamp,
}

/// One accepted start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Optional repeat protection.
    pub key: Option<StartKey>,
    /// Registry generation of the plane that the start was prepared with; `None` when it depends on none.
    pub generation: Option<i64>,
    /// Root first, then its listeners.
    pub runs: Vec<NewRun>,
    /// Artifact rows made by the first tick (offloaded values).
    pub artifacts: Vec<ArtifactRow>,
    /// Memory owners to create where absent (`session_memory_…`).
    pub owners: Vec<OwnerRow>,
    /// Memory rows of the first tick.
    pub memory: Vec<MemoryRow>,
    /// Mail the first tick sent.
    pub mail: Vec<OutMail>,
    /// Time of the start.
    pub now: Timestamp,
}

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// Committed.
    Created,
    /// The key was used before with the same body: the run of then.
    Existing(RunId),
    /// The key was used before with another body.
    KeyConflict,
    /// The registry changed meanwhile: resolve and prepare again.
    StaleGeneration,
    /// Mail of the first tick was addressed to a run that has ended meanwhile: nothing was written.
    Stale,
}

/// A runner's incarnation.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Random id, never reused.
    pub id: SessionId,
    /// Pool it works for.
    pub pool: Arc<str>,
    /// Host and process, for people.
    pub node: String,
}

/// Where a commit leaves the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The holder goes on.
    Keep,
    /// At rest; woken by mail or at `wake_at`.
    Wait {
        /// Due time.
        wake_at: Option<Timestamp>,
    },
    /// Ready again (budget spent, another pool, drain).
    Again,
    /// Ended.
    Terminal,
}

/// One fenced write of one run.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Writer.
    pub session: SessionId,
    /// Run.
    pub key: RunKey,
    /// Epoch of the claim.
    pub epoch: i64,
    /// Revision the writer read; the commit makes it `rev + 1`.
    pub rev: i32,
    /// Where the run is left.
    pub rest: Rest,
    /// Last mail number the writer has taken into account.
    pub seen: i64,
    /// True when the commit holds an effect result: clears the crash count like a rest does.
    pub progress: bool,
    /// Pool to rest in, where it changes.
    pub pool: Option<Arc<str>>,
    /// New state.
    pub columns: RunColumns,
    /// New records, following the stored ones without a gap.
    pub segments: Vec<Segment>,
    /// Last sequence number after this commit.
    pub last_seq: i64,
    /// Child runs.
    pub children: Vec<NewRun>,
    /// Mail to other runs of the plane.
    pub mail: Vec<OutMail>,
    /// Outcomes of commands whose mail was refused or applied with a remark.
    pub outcomes: Vec<(Arc<str>, String)>,
    /// Artifact rows (offloaded values, generated media).
    pub artifacts: Vec<ArtifactRow>,
    /// Memory owners to create where absent.
    pub owners: Vec<OwnerRow>,
    /// Memory rows to add, in order.
    pub memory: Vec<MemoryRow>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Written. `mail_in` is the number of the last mail sent to the run: above `seen` there is unread mail.
    Committed {
        /// Last mail number.
        mail_in: i64,
    },
    /// Nothing written, authority intact: unread mail (a terminal commit) or tree mail to a run that has ended.
    /// Read mail or descendants again and repeat.
    Stale {
        /// Last mail number.
        mail_in: i64,
    },
    /// Nothing written: another holder has the run, or it was purged. Drop its work.
    Lost,
}

/// A claimed run with its state.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// Key.
    pub key: RunKey,
    /// New epoch.
    pub epoch: i64,
    /// Last mail number; mail is to be read when it is above 0.
    pub mail_in: i64,
    /// Crashes of former holders since the last progress.
    pub crashes: i16,
    /// Revision of the state.
    pub rev: i32,
    /// Last ledger sequence number.
    pub last_seq: i64,
    /// Identity.
    pub head: RunHead,
    /// Pool.
    pub pool: Arc<str>,
    /// Bundle it executes.
    pub bundle_sha256: Option<Arc<str>>,
    /// State; `None` when the caller's known revision is current.
    pub columns: Option<RunColumns>,
}

/// A granted claim.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The store's time, from which the holder derives its tick clock.
    pub now: Timestamp,
    /// The runs obtained; those missing are not claimable (owned, at rest, ended).
    pub runs: Vec<ClaimedRun>,
}

/// A search for ready work.
#[derive(Debug, Clone)]
pub struct CandidateQuery {
    /// Pool.
    pub pool: Arc<str>,
    /// At most this many keys; fair between planes: the first of each plane, then the second.
    pub limit: usize,
    /// Plane after which the rotation begins.
    pub after_plane: PlaneId,
}

/// What a runner learns once a second.
#[derive(Debug, Clone, Default)]
pub struct Beat {
    /// Held runs with an unanswered cancel.
    pub cancels: Vec<RunKey>,
    /// Earliest timer of all.
    pub next_wake: Option<Timestamp>,
    /// Some session has expired and is not marked dead.
    pub session_expired: bool,
    /// Some cancel is overdue.
    pub preempt_due: bool,
    /// Since when the oldest ready run of the pool waits.
    pub oldest_ready: Option<Timestamp>,
    /// The store's time.
    pub now: Option<Timestamp>,
}

/// What a pool has to do and who is there to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLoad {
    /// Pool.
    pub pool: Arc<str>,
    /// Living sessions.
    pub runners: i64,
    /// Ready runs that nobody owns.
    pub ready: i64,
    /// Owned runs.
    pub leased: i64,
    /// Since when the oldest ready run waits.
    pub oldest_ready: Option<Timestamp>,
}

/// Reconcilers; each is idempotent and takes at most 500 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Due timers become ready.
    Timers,
    /// Expired sessions die; then the runs of dead sessions become ready, with one more crash where
    /// [`RunStore::note_driven`] says so.
    Sessions,
    /// Owned runs whose cancel is overdue become ready; the old holder is fenced.
    Cancels,
}

/// A run that a sweep made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Woken {
    /// Key.
    pub key: RunKey,
    /// Pool whose bell should ring.
    pub pool: Arc<str>,
}

/// Starts, claims and commits. Calls of many tasks share transactions inside the adapter; each is fenced alone.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Commits a start: durable when this returns `Created`.
    async fn start(&self, scope: &TenantScope, start: Start) -> Result<StartOutcome>;

    /// Registers a runner session with a lease of 15 s of store time.
    async fn open_session(&self, scope: &SystemScope, session: NewSession) -> Result<()>;
    /// Extends the lease. `false` means that the session is dead: stop everything.
    async fn renew_session(&self, scope: &SystemScope, session: SessionId) -> Result<bool>;
    /// Ends a session: with `clean` its runs become ready without a crash counted, otherwise with one where
    /// [`RunStore::note_driven`] says so.
    async fn close_session(&self, scope: &SystemScope, session: SessionId, clean: bool)
    -> Result<Vec<Woken>>;

    /// Claims those of `keys` that are ready and free. `known` pairs a key with a revision whose state the caller
    /// still holds.
    ///
    /// # Errors
    /// [`StoreError::SessionLost`](crate::StoreError::SessionLost) when the session is dead or expired.
    async fn claim(
        &self,
        scope: &SystemScope,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim>;

    /// Gives a held run back unchanged, ready again. `false` if the caller does not hold it.
    async fn release(&self, scope: &SystemScope, session: SessionId, key: RunKey, epoch: i64)
    -> Result<bool>;

    /// Notes that drives of these runs (with the epochs of their claims) begin: durable before it returns, good until
    /// the run changes hands, and no more than that. The first crash since a run's last progress counts against all
    /// that the holder had; a further one only against what was noted, because a holder also has runs that merely wait
    /// there. Runs that the session does not hold are skipped.
    async fn note_driven(
        &self,
        scope: &SystemScope,
        session: SessionId,
        runs: &[(RunKey, i64)],
    ) -> Result<()>;

    /// Runs that a session owns, with the epochs of their claims, by key: for a runner that compares them with what it
    /// knows. Read only.
    async fn held_runs(&self, scope: &SystemScope, session: SessionId) -> Result<Vec<(RunKey, i64)>>;

    /// Where the bell should ring for runs that just got mail: those of `keys` that are ready and free. Read only.
    async fn ready_among(&self, scope: &SystemScope, keys: &[RunKey]) -> Result<Vec<Woken>>;

    /// Takes those of `runs` over whose holders have let the time for a cancel pass: ready again, the holder is
    /// fenced. [`Sweep::Cancels`] for who posted the cancel.
    async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>>;

    /// Writes one step's worth of one run, fenced by (session, epoch, rev).
    async fn commit(&self, scope: &SystemScope, commit: Commit) -> Result<CommitOutcome>;

    /// Mail of a run above `after`, in order.
    async fn read_mail(&self, scope: &SystemScope, key: RunKey, after: i64) -> Result<Vec<Mail>>;

    /// Ready, unowned runs of a pool; read only.
    async fn candidates(&self, scope: &SystemScope, query: CandidateQuery) -> Result<Vec<RunKey>>;

    /// One read-only statement with all that a runner must notice by itself.
    async fn beat(&self, scope: &SystemScope, session: SessionId, pool: &str) -> Result<Beat>;

    /// Every pool that has runners, ready runs or owned runs, by name. Read only; asked every quarter of a minute.
    async fn pools(&self, scope: &SystemScope) -> Result<Vec<PoolLoad>>;

    /// Runs one reconciler.
    async fn sweep(&self, scope: &SystemScope, sweep: Sweep) -> Result<Vec<Woken>>;

    /// Appends records to a terminal run (summary, chat). `None` if the run is absent or not terminal; otherwise
    /// the sequence number of the first appended record.
    async fn append_to_terminal(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>>;

    /// Removes whole runs (all of one tree) with mail, ledger, start keys, commands and memory; holders are fenced.
    /// Returns per-table counts `(runs, ledger_records, commands)`.
    async fn purge_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)>;
}
