//! Starting runs: resolve, seed, bring listeners to their first wait, take the first tick where a runner lives in the
//! same process, and commit all of it in one transaction (architecture §4, "Start").

mod first_tick;
mod listeners;
mod resolve;
mod store;

use std::sync::Arc;

use ag_bundles::SelectError;
use ag_kernel::{EffectRequest, RunAux, Tick, Workflow};
use ag_store::{Counters, OwnerRow, StartKey, StoreError};
use ag_telemetry::traces;
use ag_types::{Object, RunHead, RunId, RunKey, RunState, RunStatus, SessionId, TenantScope, Timestamp};
use tracing::Instrument as _;

use self::{
    resolve::Resolved,
    store::{Attempt, Prepared},
};
use crate::{
    Deps, Held,
    commit::Stop,
    held::Pending,
    pools::{LivePools, is_pool_name, warn_of},
    seed::{self, ModelDefaults, RunSettings},
    workflows::{Found, WorkflowError},
};

/// Attempts to commit against a registry that changes under our feet.
const MAX_RESOLVES: usize = 8;
/// Actor of everything clients start.
pub(crate) const ACTOR: &str = "gateway";
/// Pool of runs that ask for none.
const DEFAULT_POOL: &str = "default";

/// Why a start was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The request names no startable flow.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A draft version without a draft purpose.
    #[error("draft bundle versions require run_lifecycle.purpose='draft_test'")]
    DraftNeedsPurpose,
    /// The flow is deprecated; the text names it.
    #[error("{0}")]
    Deprecated(String),
    /// The flow does not compile or is gone.
    #[error("{0}")]
    Unusable(String),
    /// The idempotency key was used with another body.
    #[error("Idempotency-Key was used with another request body")]
    KeyConflict,
    /// The registry or a bundle cannot be read.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit path failed.
    #[error(transparent)]
    Stop(#[from] Stop),
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// `bundle_id` of the request.
    pub bundle_id: Option<String>,
    /// `bundle_version` of the request.
    pub bundle_version: Option<String>,
    /// `flow_id` of the request.
    pub flow_id: Option<String>,
    /// Prepared run variables.
    pub vars: Object,
    /// Session; the run's own id when absent.
    pub session_id: Option<String>,
    /// Owners to create where absent.
    pub owners: Vec<OwnerRow>,
    /// Repeat protection.
    pub key: Option<StartKey>,
    /// Pool of a generated flow; a bundle's manifest names its own.
    pub pool: Option<Arc<str>>,
}

/// A runner in the same process that may take a started run over in memory.
pub trait LocalRunner: Send + Sync {
    /// Its pool. Where a runner lives in the same process it is the only one, so all runs belong to it.
    fn pool(&self) -> Arc<str>;
    /// A free slot, if the runner has one and is not draining.
    fn reserve(&self) -> Option<Box<dyn Slot>>;
}

/// A reserved slot; dropping it frees it.
pub trait Slot: Send + Sync {
    /// Session that will hold the run.
    fn session(&self) -> SessionId;
    /// The run rests on a timer instead of being handed over; a near one should not wait for the next look at the
    /// store.
    fn timer(&self, due: Timestamp);
    /// Hands the run over. `pending` is an effect whose `started` record is committed.
    fn adopt(self: Box<Self>, held: Box<Held>, pending: Option<EffectRequest>);
}

/// Starts runs.
pub struct Starter {
    deps: Arc<Deps>,
    defaults: Arc<dyn ModelDefaults>,
    settings: RunSettings,
    local: Option<Arc<dyn LocalRunner>>,
    live: Arc<LivePools>,
}

impl Starter {
    /// A starter; `local` is the runner of the same process, if there is one.
    pub fn new(
        deps: Arc<Deps>,
        defaults: Arc<dyn ModelDefaults>,
        settings: RunSettings,
        local: Option<Arc<dyn LocalRunner>>,
    ) -> Self {
        Self {
            deps,
            defaults,
            settings,
            local,
            live: Arc::default(),
        }
    }

    /// Warns about runs of pools that have no runner.
    #[must_use]
    pub fn with_live_pools(mut self, live: Arc<LivePools>) -> Self {
        self.live = live;
        self
    }

    /// The pool of a run that asks for one.
    pub(crate) fn pool(&self, asked: Option<&str>) -> Arc<str> {
        match &self.local {
            Some(local) => local.pool(),
            None => asked
                .filter(|pool| is_pool_name(pool))
                .unwrap_or(DEFAULT_POOL)
                .into(),
        }
    }

    pub(crate) fn defaults(&self) -> &dyn ModelDefaults {
        &*self.defaults
    }

    pub(crate) fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// What the engine is made of.
    pub fn deps(&self) -> &Deps {
        &self.deps
    }

    /// Starts a run; durable when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing was stored then.
    pub async fn start(&self, scope: &TenantScope, request: StartRequest) -> Result<RunId, StartError> {
        let mut refresh = false;
        for _ in 0..MAX_RESOLVES {
            let resolved = self.resolve(scope, &request, refresh).await?;
            match self.attempt(scope, &request, resolved).await? {
                Attempt::Done(run) => return Ok(run),
                Attempt::Stale => {
                    refresh = true;
                    self.defaults.forget(scope);
                }
            }
        }
        Err(StoreError::Unavailable("the registry keeps changing".to_owned()).into())
    }

    async fn attempt(
        &self,
        scope: &TenantScope,
        request: &StartRequest,
        resolved: Resolved,
    ) -> Result<Attempt, StartError> {
        let deps = &self.deps;
        let now = deps.clock.now();
        let workflow = self
            .workflow(scope, &resolved.workflow_id, resolved.sha256.as_deref())
            .await?;
        let run_id = deps.ids.run_id();
        let session: Arc<str> = request
            .session_id
            .clone()
            .unwrap_or_else(|| run_id.to_string())
            .into();
        let mut run_vars = request.vars.clone();
        let route = self.defaults.text_route(scope).await;
        let model = ag_kernel::vars::text_at(&run_vars, "_runtime.model").map(str::to_owned);
        let model = model.or_else(|| route.as_ref().map(|(_, model)| model.clone()));
        seed::root(
            &mut run_vars,
            &self.settings,
            route.as_ref(),
            self.defaults.limits(model.as_deref()),
        );
        if self.live.lacks(&resolved.pool) {
            warn_of(&resolved.pool, &mut run_vars);
        }
        let root = RunState {
            head: RunHead {
                run_id,
                workflow_id: resolved.workflow_id.as_str().into(),
                actor_id: Some(ACTOR.into()),
                session_id: Some(session),
                parent_run_id: None,
                created_at: now,
            },
            status: RunStatus::Running,
            current_node: workflow.entry_node().to_owned(),
            vars: run_vars,
            waiting: None,
            output: None,
            error: None,
            updated_at: now,
        };
        let listeners = self.listeners(scope, &resolved, &root, now).await?;
        let slot = match listeners.is_empty() {
            // With listeners of its own the first tick could emit to them before they are stored.
            true => self.local.as_ref().and_then(|local| local.reserve()),
            false => None,
        };
        let mut held = Box::new(self.hold(scope, &resolved, root, slot.as_deref()));
        held.tick.aux.foreign_types = foreign_types(&*workflow);
        held.tick.aux.traceparent = traces::traceparent();
        let pending = match &slot {
            Some(_) => self.first_tick(&mut held, &*workflow).await,
            None => None,
        };
        let (mut start, place) = self
            .write_set(&mut held, request, &resolved, slot.as_deref(), now)
            .await?;
        start.runs.extend(listeners);
        let prepared = Prepared {
            start,
            held,
            slot,
            place,
            pending,
        };
        // A task of its own: from the commit on the run may belong to this process, so a client that disconnects
        // must not stop it between the commit and the hand-over (architecture D4).
        let task = prepared
            .finish(self.deps.clone(), scope.clone())
            .in_current_span();
        match tokio::spawn(Box::pin(task)).await {
            Ok(attempt) => attempt,
            Err(_) => Err(StoreError::Unavailable("the start was cut off".to_owned()).into()),
        }
    }

    fn hold(
        &self,
        scope: &TenantScope,
        resolved: &Resolved,
        root: RunState,
        slot: Option<&dyn Slot>,
    ) -> Held {
        let run_id = root.head.run_id;
        Held {
            key: RunKey {
                run: run_id,
                plane: scope.plane,
            },
            scope: scope.clone(),
            session: slot.map_or(SessionId(0), Slot::session),
            epoch: 1,
            rev: 0,
            last_seq: 0,
            mail_in: 0,
            seen: 0,
            pool: resolved.pool.clone(),
            mixed: false,
            bundle_sha256: resolved.sha256.clone(),
            counters: Counters::default(),
            crashes: 0,
            recurrent: None,
            tick: Tick::new(
                root,
                RunAux::default(),
                self.deps.limits.max_inline_bytes,
                self.deps.ids.clone(),
            ),
            records: Vec::new(),
            offloaded: Vec::new(),
            pending: Pending::default(),
        }
    }

    async fn workflow(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        sha256: Option<&str>,
    ) -> Result<Arc<dyn Workflow>, StartError> {
        match self.deps.workflows.get(scope, workflow_id, sha256).await? {
            Found::Workflow(workflow) => Ok(workflow),
            Found::Missing(reason) => Err(StartError::Unusable(reason)),
        }
    }
}

/// What this program does not know stays an identity function for this run, whoever executes it.
fn foreign_types(workflow: &dyn Workflow) -> Vec<String> {
    workflow.unknown_types().iter().map(ToString::to_string).collect()
}
