//! A run in the hands of its holder: its state in memory and the authority to write it.

use std::sync::Arc;

use ag_kernel::Tick;
use ag_store::{ClaimedRun, Counters, OutMail, StoreError};
use ag_types::{IdGen, RunKey, SessionId, TenantScope};

use crate::codec;

/// A held run.
pub struct Held {
    /// Key.
    pub key: RunKey,
    /// Plane of the run.
    pub scope: TenantScope,
    /// Session that holds it.
    pub session: SessionId,
    /// Epoch of the claim.
    pub epoch: i64,
    /// Revision of the last commit.
    pub rev: i32,
    /// Last ledger sequence number.
    pub last_seq: i64,
    /// Last mail number known to exist.
    pub mail_in: i64,
    /// Last mail number taken into account.
    pub seen: i64,
    /// Pool.
    pub pool: Arc<str>,
    /// Mail may reach runs of other pools.
    pub mixed: bool,
    /// Bundle it executes.
    pub bundle_sha256: Option<Arc<str>>,
    /// Sums.
    pub counters: Counters,
    /// Crashes of former holders since the last progress.
    pub crashes: i16,
    /// Whether the top of the run's tree is a schedule that repeats, once somebody has asked.
    pub recurrent: Option<bool>,
    /// State.
    pub tick: Tick,
    /// Records that wait for the next commit.
    pub records: Vec<String>,
    /// Values taken out of the state, to be stored before the next commit.
    pub offloaded: Vec<ag_kernel::OffloadedValue>,
    /// Other rows that wait for the next commit.
    pub pending: Pending,
}

/// Rows other than the run's own state and records.
#[derive(Debug, Default)]
pub struct Pending {
    /// Child runs.
    pub children: Vec<ag_effects::Child>,
    /// Mail to other runs.
    pub mail: Vec<OutMail>,
    /// Outcomes of commands.
    pub outcomes: Vec<(Arc<str>, String)>,
    /// Artifact rows.
    pub artifacts: Vec<ag_store::ArtifactRow>,
    /// Memory owners.
    pub owners: Vec<ag_store::OwnerRow>,
    /// Memory rows.
    pub memory: Vec<ag_store::MemoryRow>,
    /// Pool to rest in, where it changes.
    pub pool: Option<Arc<str>>,
    /// The write set holds an effect result.
    pub progress: bool,
}

impl Pending {
    /// True when there is something to write.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.mail.is_empty()
            && self.outcomes.is_empty()
            && self.artifacts.is_empty()
            && self.owners.is_empty()
            && self.memory.is_empty()
    }
}

impl Held {
    /// Takes a claimed run into memory.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its state cannot be read.
    pub fn from_claim(
        claimed: ClaimedRun,
        scope: TenantScope,
        session: SessionId,
        max_inline: usize,
        ids: Arc<dyn IdGen>,
    ) -> Result<Self, StoreError> {
        let columns = claimed.columns.ok_or(StoreError::Corrupt {
            what: "claim",
            detail: "state was not sent".to_owned(),
        })?;
        let (run, aux) = codec::decode(claimed.head, &columns)?;
        Ok(Self {
            key: claimed.key,
            scope,
            session,
            epoch: claimed.epoch,
            rev: claimed.rev,
            last_seq: claimed.last_seq,
            mail_in: claimed.mail_in,
            // Mail up to the head's number minus what is stored has been deleted when it was taken into account, so
            // reading from zero returns exactly the unread part.
            seen: 0,
            pool: claimed.pool,
            mixed: false,
            bundle_sha256: claimed.bundle_sha256,
            counters: columns.counters,
            crashes: claimed.crashes,
            recurrent: None,
            tick: Tick::new(run, aux, max_inline, ids),
            records: Vec::new(),
            offloaded: Vec::new(),
            pending: Pending::default(),
        })
    }

    /// Takes what an answer adds into the next commit; what it says of the run itself is for the tick.
    pub(crate) fn collect(
        &mut self,
        answer: ag_effects::Answer,
    ) -> (ag_kernel::Outcome, Vec<ag_kernel::VarChange>) {
        self.adopt(answer.children);
        self.pending.mail.extend(answer.mail);
        self.pending.artifacts.extend(answer.artifacts);
        self.pending.owners.extend(answer.owners);
        self.pending.memory.extend(answer.memory);
        (answer.outcome, answer.changes)
    }

    /// Takes children into the next commit; their traces lead to where this run's do.
    fn adopt(&mut self, children: Vec<ag_effects::Child>) {
        let traceparent = &self.tick.aux.traceparent;
        self.pending
            .children
            .extend(children.into_iter().map(|mut child| {
                child.aux.traceparent.clone_from(traceparent);
                child
            }));
    }

    /// Moves what the tick wrote out of it.
    pub fn take_writes(&mut self) -> ag_kernel::Writes {
        self.tick.take_writes()
    }

    /// True when nothing waits for a commit.
    pub fn is_clean(&self) -> bool {
        !self.tick.has_writes() && self.records.is_empty() && self.pending.is_empty()
    }
}
