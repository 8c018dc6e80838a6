//! The door to effect handlers.

use std::{collections::HashMap, sync::Arc};

use ag_artifacts::BlobStore;
use ag_kernel::{EffectRequest, Outcome, RunAux, VarChange};
use ag_store::{ArtifactRow, MemoryRow, OutMail, OwnerRow, Store, StoreError};
use ag_types::{Clock, EffectKind, IdGen, RunState, TenantScope};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::Progress;

/// What must be committed before an effect of this kind is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectClass {
    /// Nothing: it only adds rows to the commit that follows.
    Inline,
    /// Uncommitted rows of the tick: it reads the store.
    ReadsStore,
    /// Its own `started` record: it acts on the world outside.
    Outside,
}

/// A child run to insert with the commit.
#[derive(Debug, Clone)]
pub struct Child {
    /// First state.
    pub state: RunState,
    /// The engine's own first state.
    pub aux: RunAux,
    /// Bundle it executes.
    pub bundle_sha256: Option<Arc<str>>,
}

/// What an effect gives back.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// Changes of run variables.
    pub changes: Vec<VarChange>,
    /// Child runs.
    pub children: Vec<Child>,
    /// Mail to other runs of the plane.
    pub mail: Vec<OutMail>,
    /// Artifact rows; their blobs are stored already.
    pub artifacts: Vec<ArtifactRow>,
    /// Memory owners to create where absent.
    pub owners: Vec<OwnerRow>,
    /// Memory rows to add, in order.
    pub memory: Vec<MemoryRow>,
    /// The store could not be asked: nothing of this answer applies, the effect is tried again.
    pub postponed: Option<StoreError>,
}

impl Answer {
    /// An outcome and nothing else.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            changes: vec![],
            children: vec![],
            mail: vec![],
            artifacts: vec![],
            owners: vec![],
            memory: vec![],
            postponed: None,
        }
    }
    /// The store failed before anything was done. An outage passes and is not the flow's fault: the effect happens
    /// later. What does not pass by itself fails with this text.
    pub fn store_failed(error: StoreError, text: impl Into<String>) -> Self {
        Self {
            postponed: passes(&error).then_some(error),
            ..Self::failed(text)
        }
    }
    /// A result and nothing else.
    pub fn done(result: serde_json::Value) -> Self {
        Self::of(Outcome::Done { result, state: None })
    }
    /// A failure.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::of(Outcome::Failed(error.into()))
    }
}

/// Which workflows exist for a plane.
#[async_trait]
pub trait WorkflowDirectory: Send + Sync {
    /// The entry node and bundle hash of a workflow id, if a run of `scope` may start it. A run executes the bundle
    /// version it was started with, so `from` (the asking run's bundle) is tried first for ids of the same bundle.
    ///
    /// # Errors
    /// [`Failure`].
    async fn resolve(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        from: Option<&str>,
    ) -> Result<Option<ResolvedWorkflow>, Failure>;
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// What the flow asked for cannot be done; the effect fails with this text.
    #[error("{0}")]
    Text(String),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// The store could not be asked about `what`. What does not pass by itself fails with `what: error`.
    pub fn of_store(error: StoreError, what: &str) -> Self {
        match passes(&error) {
            true => Self::Store(error),
            false => Self::Text(format!("{what}: {error}")),
        }
    }

    /// The outage, where it is one that passes by itself; otherwise the text of the failure. For handlers whose
    /// failures are results.
    ///
    /// # Errors
    /// That text.
    pub fn outage(self) -> Result<StoreError, String> {
        match self {
            Self::Store(error) if passes(&error) => Ok(error),
            other => Err(other.to_string()),
        }
    }

    /// Another text for a failure that is not the store's.
    #[must_use]
    pub fn worded(self, word: impl FnOnce(String) -> String) -> Self {
        match self.outage() {
            Ok(error) => Self::Store(error),
            Err(text) => Self::Text(word(text)),
        }
    }
}

/// Whether the same question will be answered later.
fn passes(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_) | StoreError::Ambiguous(_) | StoreError::SessionLost
    )
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::Text(_) => Self::failed(text),
            Failure::Store(error) => Self::store_failed(error, text),
        }
    }
}

/// A workflow that can be started.
#[derive(Debug, Clone)]
pub struct ResolvedWorkflow {
    /// Node where it begins.
    pub entry_node: String,
    /// Bundle that holds it; none for dynamic flows.
    pub bundle_sha256: Option<Arc<str>>,
    /// Node types of it that this program does not know.
    pub unknown_types: Vec<String>,
}

/// What a handler may use.
pub struct EffectCtx<'a> {
    /// Owner of the run.
    pub scope: &'a TenantScope,
    /// The run, read only.
    pub run: &'a RunState,
    /// Bundle the run executes.
    pub bundle_sha256: Option<&'a str>,
    /// Ancestors of the run.
    pub depth: u32,
    /// `<run>/<node>/<visit>`: the same for every attempt after a crash.
    pub outbound_key: String,
    /// Fires when the run is cancelled or the holder loses its authority.
    pub cancel: CancellationToken,
    /// The store.
    pub store: &'a dyn Store,
    /// Bytes of artifacts.
    pub blobs: &'a dyn BlobStore,
    /// Which workflows exist.
    pub workflows: &'a dyn WorkflowDirectory,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdGen,
    /// What becomes `abstract.progress` records, where [`EffectHandler::reports`] says so.
    pub progress: Progress,
}

/// Performs effects of one kind.
#[async_trait]
pub trait EffectHandler: Send + Sync {
    /// What must be durable before.
    fn class(&self) -> EffectClass;
    /// Whether a request may report progress. The driver then works on a copy of the run and commits what it hears.
    fn reports(&self, _request: &EffectRequest) -> bool {
        false
    }
    /// Performs the effect. Business failures are outcomes, not errors; must return soon after `ctx.cancel` fires.
    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer;
}

/// Runs the tools of an approved batch; the handler of `tool_calls` implements it too.
#[async_trait]
pub trait Tools: Send + Sync {
    /// Executes the calls of an approved wait. Returns the stored payload (merged with blocked and pre-executed
    /// results), what the state keeps where it differs, and changes of run variables.
    async fn run_approved(&self, ctx: &EffectCtx<'_>, batch: &ag_kernel::aux::ApprovedBatch) -> ToolsDone;
    /// Turns the payload of a resume of a tool wait into what is stored: denials, client-supplied results, merging by
    /// index. `None` when the answer needs [`Tools::run_approved`]: the tools must run, or evidence must be stored. Pure.
    fn settle(&self, wait: &ag_types::Wait, payload: &serde_json::Value) -> Option<serde_json::Value>;
}

/// Results of a tool batch.
#[derive(Debug, Default)]
pub struct ToolsDone {
    /// What the ledger and the state get.
    pub stored: serde_json::Value,
    /// What the state keeps where it differs.
    pub state: Option<serde_json::Value>,
    /// Changes of run variables.
    pub changes: Vec<VarChange>,
    /// Artifact rows.
    pub artifacts: Vec<ArtifactRow>,
    /// Memory owners to create where absent.
    pub owners: Vec<OwnerRow>,
    /// Memory rows to add, in order.
    pub memory: Vec<MemoryRow>,
}

/// Handlers by kind.
#[derive(Clone, Default)]
pub struct EffectRegistry {
    handlers: HashMap<EffectKind, Arc<dyn EffectHandler>>,
}

impl EffectRegistry {
    /// Adds a handler; the last one of a kind wins.
    pub fn with(mut self, kind: EffectKind, handler: Arc<dyn EffectHandler>) -> Self {
        self.handlers.insert(kind, handler);
        self
    }

    /// The handler of a kind.
    pub fn get(&self, kind: EffectKind) -> Option<&Arc<dyn EffectHandler>> {
        self.handlers.get(&kind)
    }
}
