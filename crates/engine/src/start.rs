//! Starting runs: resolve, seed, bring listeners to their first wait, take the first tick where a runner lives in the
//! same process, and commit all of it in one transaction (architecture §4, "Start").

use std::{sync::Arc, time::Instant};

use ag_bundles::{SelectError, StartRequest as BundleRequest, Target, select};
use ag_effects::{EffectClass, EffectCtx, Progress};
use ag_kernel::{EffectRequest, HostAnswers, RunAux, Stepped, Tick, Workflow};
use ag_store::{
    Counters, DocumentKind, NewRun, OwnerRow, Placement, Start, StartKey, StartOutcome, StoreError,
};
use ag_telemetry::{
    metrics::{RUN_START, RUNS_ENDED, store_operation},
    traces,
};
use ag_types::{Object, RunHead, RunId, RunKey, RunState, RunStatus, SessionId, TenantScope, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    Deps, Held, codec,
    commit::Stop,
    held::Pending,
    lifecycle,
    pools::{LivePools, is_pool_name, warn_of},
    seed::{self, ModelDefaults, RunSettings},
    workflows::{Found, PlaneRegistry, WorkflowError},
};

/// Attempts to commit against a registry that changes under our feet.
const MAX_RESOLVES: usize = 8;
/// Steps a listener may take to its first wait (bundles spec §5).
const LISTENER_STEPS: u32 = 10;
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

struct Resolved {
    workflow_id: String,
    sha256: Option<Arc<str>>,
    pool: Arc<str>,
    registry: Option<Arc<PlaneRegistry>>,
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

    async fn resolve(
        &self,
        scope: &TenantScope,
        request: &StartRequest,
        refresh: bool,
    ) -> Result<Resolved, StartError> {
        let asked = BundleRequest {
            bundle_id: request.bundle_id.as_deref(),
            bundle_version: request.bundle_version.as_deref(),
            flow_id: request.flow_id.as_deref(),
            draft_test: lifecycle::of_vars(&request.vars)
                .as_ref()
                .is_some_and(lifecycle::is_draft),
            ..BundleRequest::default()
        };
        select::require_target(&asked)?;
        let workflows = &self.deps.workflows;
        if refresh {
            return self
                .resolve_in(scope, request, &asked, workflows.reload(scope).await?)
                .await;
        }
        let remembered = workflows.registry(scope).await?;
        match self.resolve_in(scope, request, &asked, remembered.clone()).await {
            // What this node remembers may have been changed on another one (installed, deprecated no longer), so a
            // refusal must hold for what is stored now. A success is compared when it is committed.
            Err(error) if !matches!(error, StartError::Store(_)) => {
                let current = workflows.current(scope).await?;
                match Arc::ptr_eq(&current, &remembered) {
                    true => Err(error),
                    false => self.resolve_in(scope, request, &asked, current).await,
                }
            }
            resolved => resolved,
        }
    }

    async fn resolve_in(
        &self,
        scope: &TenantScope,
        request: &StartRequest,
        asked: &BundleRequest<'_>,
        registry: Arc<PlaneRegistry>,
    ) -> Result<Resolved, StartError> {
        match select::select_start(&registry.index, asked)? {
            Target::Flow(flow) => self.resolved_flow(request, registry, &flow),
            Target::Dynamic(id) => {
                let known = self
                    .deps
                    .store
                    .document(scope, DocumentKind::DynamicFlow, &id)
                    .await?
                    .is_some();
                if !known {
                    return Err(SelectError::WorkflowNotFound(id).into());
                }
                Ok(Resolved {
                    workflow_id: id,
                    sha256: None,
                    pool: self.pool(request.pool.as_deref()),
                    registry: None,
                })
            }
        }
    }

    fn resolved_flow(
        &self,
        request: &StartRequest,
        registry: Arc<PlaneRegistry>,
        flow: &ag_bundles::ResolvedFlow,
    ) -> Result<Resolved, StartError> {
        let purpose = request.vars.get("_run_lifecycle").and_then(lifecycle::sanitise);
        if flow.bundle.is_draft() && !purpose.as_ref().is_some_and(lifecycle::is_draft) {
            return Err(StartError::DraftNeedsPurpose);
        }
        if let Some(text) = registry.deprecation_text(&flow.bundle.bundle_id, &flow.flow_id) {
            return Err(StartError::Deprecated(text));
        }
        let version = registry
            .index
            .get(&flow.bundle.bundle_id, &flow.bundle.bundle_version)
            .ok_or_else(|| SelectError::WorkflowNotFound(flow.workflow_id()))?;
        let pool = self.pool(version.manifest.metadata.get("pool").and_then(Value::as_str));
        let sha256 = Some(Arc::from(version.sha256.as_str()));
        Ok(Resolved {
            workflow_id: flow.workflow_id(),
            sha256,
            pool,
            registry: Some(registry),
        })
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

    /// Steps in memory until something needs more than memory. Returns the outside effect it stopped at, if any.
    async fn first_tick(&self, held: &mut Held, workflow: &dyn Workflow) -> Option<EffectRequest> {
        let deps = &self.deps;
        let answers = HostAnswers::default();
        let since = Instant::now();
        for _ in 0..deps.limits.first_steps {
            if since.elapsed() > deps.limits.first_time {
                return None;
            }
            match held.tick.step(workflow, &deps.env(deps.clock.now(), &answers)) {
                Ok(Stepped::Moved) => {}
                Ok(Stepped::Waiting | Stepped::Terminal) => return None,
                // A code node, a file: the runner answers it; the step has changed nothing.
                Err(_) => return None,
                Ok(Stepped::Effect(request)) => {
                    let handler = deps.effects.get(request.open.kind)?;
                    if handler.class() != EffectClass::Inline {
                        if handler.class() == EffectClass::Outside {
                            held.tick.mark_called();
                        }
                        return Some(*request);
                    }
                    let ctx = EffectCtx {
                        depth: held.tick.aux.depth,
                        scope: &held.scope,
                        run: &held.tick.run,
                        bundle_sha256: held.bundle_sha256.as_deref(),
                        outbound_key: String::new(),
                        cancel: CancellationToken::new(),
                        store: &*deps.store,
                        blobs: &*deps.blobs,
                        workflows: &*deps.workflows,
                        clock: &*deps.clock,
                        ids: &*deps.ids,
                        progress: Progress::default(),
                    };
                    let answer = handler.handle(&ctx, &request).await;
                    if answer.postponed.is_some() {
                        return Some(*request);
                    }
                    let (outcome, changes) = held.collect(answer);
                    held.tick
                        .apply(outcome, changes, &deps.env(deps.clock.now(), &answers));
                }
            }
        }
        None
    }

    async fn write_set(
        &self,
        held: &mut Held,
        request: &StartRequest,
        resolved: &Resolved,
        slot: Option<&dyn Slot>,
        now: Timestamp,
    ) -> Result<(Start, Placement), StartError> {
        let deps = &self.deps;
        deps.settle_writes(held).await?;
        held.tick.run.updated_at = deps.clock.now();
        let place = match held.tick.run.status {
            RunStatus::Running => match slot {
                Some(slot) => Placement::Held {
                    session: slot.session(),
                    epoch: 1,
                },
                None => Placement::Ready,
            },
            RunStatus::Waiting => Placement::Rest {
                wake_at: crate::commit::wake_at(held),
            },
            RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Placement::Terminal,
        };
        let segments = codec::segments(&held.records, 0);
        let last_seq = held.records.len() as i64;
        let root = NewRun {
            head: held.tick.run.head.clone(),
            pool: held.pool.clone(),
            bundle_sha256: held.bundle_sha256.clone(),
            columns: codec::encode(&held.tick.run, &held.tick.aux, held.counters),
            segments,
            last_seq,
            placement: place,
        };
        let mut runs = vec![root];
        runs.extend(
            held.pending
                .children
                .iter()
                .map(|child| deps.new_child(&held.pool, child)),
        );
        let mut owners = request.owners.clone();
        owners.extend(held.pending.owners.iter().cloned());
        let start = Start {
            key: request.key.clone(),
            generation: resolved.registry.as_ref().map(|registry| registry.generation),
            runs,
            artifacts: held.pending.artifacts.clone(),
            owners,
            memory: held.pending.memory.clone(),
            mail: held.pending.mail.clone(),
            now,
        };
        Ok((start, place))
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

    /// One child run per `on_event` node, brought to its wait.
    async fn listeners(
        &self,
        scope: &TenantScope,
        resolved: &Resolved,
        root: &RunState,
        now: Timestamp,
    ) -> Result<Vec<NewRun>, StartError> {
        let Some(sha256) = resolved.sha256.as_deref() else {
            return Ok(vec![]);
        };
        let deps = &self.deps;
        let mut out = Vec::new();
        let listeners = deps
            .workflows
            .listeners(scope, &resolved.workflow_id, sha256)
            .await?;
        for workflow_id in listeners.iter() {
            let workflow = self.workflow(scope, workflow_id, Some(sha256)).await?;
            let kept = ["_runtime", "_limits"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), root.vars.get(key)?.clone())));
            let state = RunState {
                head: RunHead {
                    run_id: deps.ids.run_id(),
                    workflow_id: workflow_id.as_str().into(),
                    parent_run_id: Some(root.head.run_id),
                    created_at: now,
                    ..root.head.clone()
                },
                current_node: workflow.entry_node().to_owned(),
                vars: kept.collect::<Object>(),
                status: RunStatus::Running,
                waiting: None,
                output: None,
                error: None,
                updated_at: now,
            };
            out.push(self.listener(scope, resolved, state, &*workflow));
        }
        Ok(out)
    }

    fn listener(
        &self,
        scope: &TenantScope,
        resolved: &Resolved,
        state: RunState,
        workflow: &dyn Workflow,
    ) -> NewRun {
        let deps = &self.deps;
        let mut held = self.hold(scope, resolved, state, None);
        held.tick.aux.foreign_types = foreign_types(workflow);
        held.tick.aux.traceparent = traces::traceparent();
        let answers = HostAnswers::default();
        for _ in 0..LISTENER_STEPS {
            match held.tick.step(workflow, &deps.env(deps.clock.now(), &answers)) {
                Ok(Stepped::Moved) => {}
                _ => break,
            }
        }
        let writes = held.take_writes();
        let placement = match held.tick.run.status {
            RunStatus::Waiting => Placement::Rest {
                wake_at: crate::commit::wake_at(&held),
            },
            RunStatus::Running => Placement::Ready,
            RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Placement::Terminal,
        };
        codec::add_counts(&mut held.counters, writes.counts);
        NewRun {
            head: held.tick.run.head.clone(),
            pool: held.pool.clone(),
            bundle_sha256: held.bundle_sha256.clone(),
            columns: codec::encode(&held.tick.run, &held.tick.aux, held.counters),
            segments: codec::segments(&writes.records, 0),
            last_seq: writes.records.len() as i64,
            placement,
        }
    }
}

/// A start whose first tick is done, about to be committed.
struct Prepared {
    start: Start,
    held: Box<Held>,
    slot: Option<Box<dyn Slot>>,
    place: Placement,
    pending: Option<EffectRequest>,
}

impl Prepared {
    async fn finish(self, deps: Arc<Deps>, scope: TenantScope) -> Result<Attempt, StartError> {
        let Self {
            start,
            mut held,
            slot,
            place,
            pending,
        } = self;
        let more = start.runs.len() > 1;
        let starting = store_operation("start", deps.store.start(&scope, start))
            .instrument(tracing::info_span!("commit", rest = "start"));
        match starting.await? {
            StartOutcome::Created => ag_failpoints::hit("start.before_ack"),
            StartOutcome::Existing(run) => return Ok(Attempt::Done(run)),
            StartOutcome::KeyConflict => return Err(StartError::KeyConflict),
            StartOutcome::StaleGeneration | StartOutcome::Stale => return Ok(Attempt::Stale),
        }
        if !held.records.is_empty() {
            let age = held
                .tick
                .run
                .updated_at
                .micros_since(held.tick.run.head.created_at);
            RUN_START.with([]).record(age.max(0) as f64 / 1e6);
        }
        if matches!(place, Placement::Terminal) {
            RUNS_ENDED.with([held.tick.run.status.as_str()]).increment(1);
        }
        let (run_id, pool) = (held.key.run, held.pool.clone());
        if more {
            let children: Vec<RunKey> = std::mem::take(&mut held.pending.children)
                .iter()
                .map(|child| RunKey {
                    run: child.state.head.run_id,
                    plane: held.key.plane,
                })
                .collect();
            if !children.is_empty() {
                deps.bell.ring(&pool, &children).await;
            }
        }
        match (place, slot) {
            (Placement::Held { .. }, Some(slot)) => {
                held.last_seq += held.records.len() as i64;
                held.records.clear();
                held.pending = Pending::default();
                slot.adopt(held, pending);
            }
            (Placement::Rest { wake_at: Some(due) }, Some(slot)) => slot.timer(due),
            (Placement::Ready, _) => deps.bell.ring(&pool, &[held.key]).await,
            _ => {}
        }
        Ok(Attempt::Done(run_id))
    }
}

/// What this program does not know stays an identity function for this run, whoever executes it.
fn foreign_types(workflow: &dyn Workflow) -> Vec<String> {
    workflow.unknown_types().iter().map(ToString::to_string).collect()
}

enum Attempt {
    Done(RunId),
    Stale,
}
