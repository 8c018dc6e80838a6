//! Storage ports: what the gateway asks of its system of record, in business steps.
//!
//! * [`RunStore`] — starts, sessions, claims, fenced commits, mail, timers, sweeps: the write path of
//!   `docs/ARCHITECTURE.md` ("Store protocol").
//! * [`RunReads`] — what API nodes and effects read of runs and ledgers.
//! * [`CommandStore`] — durable client commands.
//! * [`Documents`] — bundles, flows, deprecations, capability defaults, connection profiles: rows per plane with a
//!   generation number that rises with each change.
//! * [`ArtifactIndex`] — metadata of artifacts; bytes live in the blob store.
//! * [`MemoryStore`] — spans and statements that belong to runs, sessions or the gateway.
//! * [`ImportStore`] — bulk writes of an import, beside the business steps.
//! * [`OwnerStore`] — owners of memory (`session_memory_…`), which look like runs to clients.
//!
//! The store stores: ids and domain times are arguments. The one exception is lease arithmetic (session expiry,
//! `ready_at`, `preempt_at`), which uses the store's own clock so that skewed processes cannot disagree.
//! Everything a port promises is checked by [`conformance`], which every adapter and the in-memory [`fake`] run.

pub mod artifacts;
pub mod commands;
pub mod conformance;
pub mod documents;
pub mod error;
pub mod fake;
pub mod imports;
pub mod leases;
pub mod memory;
pub mod owners;
pub mod planes;
pub mod reads;
pub mod runs;

pub use artifacts::{ArtifactFilter, ArtifactIndex, ArtifactOrder, ArtifactRow};
pub use commands::{CommandRow, CommandStore, CommandTarget, NewCommand, PostOutcome};
pub use documents::{Document, DocumentKind, Documents, PutMode, PutOutcome};
pub use error::StoreError;
pub use imports::{ImportBatch, ImportCounts, ImportStore, ImportWake};
pub use memory::{
    Assertion, AssertionFilter, AssertionOrder, Embedding, MemoryRow, MemoryStore, SpanChange, SpanEntry,
    StoredAssertion, StoredSpanEntry, StoredVector,
};
pub use owners::{OwnerRow, OwnerStore};
pub use planes::Planes;
pub use reads::{LedgerPage, Listener, RelatedRun, RunFilter, RunListRow, RunReads, RunRow, Tail};
pub use runs::{
    Beat, CandidateQuery, Claim, ClaimedRun, Commit, CommitOutcome, Counters, Mail, MailKind, NewRun,
    NewSession, OutMail, Placement, PoolLoad, Rest, RunColumns, RunStore, Segment, Start, StartKey,
    StartOutcome, Sweep, Woken,
};

/// Result of a store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Every port of one database, as the composition root hands it out.
pub trait Store:
    RunStore + RunReads + CommandStore + Documents + ArtifactIndex + MemoryStore + OwnerStore + Planes
{
}
impl<T> Store for T where
    T: RunStore + RunReads + CommandStore + Documents + ArtifactIndex + MemoryStore + OwnerStore + Planes
{
}
