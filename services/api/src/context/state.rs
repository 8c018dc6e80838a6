//! What a node's handlers share.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use ag_auth::{
    AccessSettings, Authenticator, BodyLimits, ConcurrencyLimits, Credential, CredentialNames, LockoutPolicy,
    OriginPolicy, PlaneRule, Principal, audit::AuditSink,
};
use ag_config::Config;
use ag_engine::{Deps, Starter};
use ag_messaging::SharedCounters;
use ag_store::StoreError;
use ag_telemetry::metrics::Metrics;
use ag_types::{RunId, SystemScope, TenantScope};
use async_trait::async_trait;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::plane::Scopes;
use crate::{
    limits::{Lockouts, PlaneCaps, PlaneLimits},
    middleware::Guards,
    router::RouteTable,
    second_look::SecondLooks,
    server::{Ops, Probe, Readiness},
    stream::Streams,
};

#[async_trait]
impl Probe for AppState {
    async fn readiness(&self) -> Readiness {
        if self.draining().is_cancelled() {
            return Readiness::Draining;
        }
        let deps = self.deps();
        let counters = self.0.counters.healthy();
        match deps.store.is_current(&SystemScope::new("readiness probe")).await {
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Readiness::Unready("unavailable")
            }
            Ok(false) => Readiness::Unready("schema"),
            Ok(true) if !self.0.fit.is_fit() => Readiness::Unready("workspaces"),
            Ok(true) => match deps.feed.healthy() && deps.bell.healthy() && counters {
                true => Readiness::Ready,
                false => Readiness::Degraded,
            },
        }
    }
}

/// Whether this process may touch files: its workspaces are those of the database (architecture D17). Fit until
/// somebody says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Fitness(Arc<AtomicBool>);

impl Fitness {
    /// Says whether it is.
    pub fn set(&self, fit: bool) {
        self.0.store(!fit, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_fit(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Checks the CSRF token of a browser session.
pub trait CsrfCheck: Send + Sync {
    /// Whether `token` belongs to the session that `credential` names.
    fn is_valid(&self, credential: Credential<'_>, token: &str) -> bool;
}

/// For nodes without browser sessions: no token is valid.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSessions;

impl CsrfCheck for NoSessions {
    fn is_valid(&self, _: Credential<'_>, _: &str) -> bool {
        false
    }
}

/// Services of single families, by type: the composition root puts them in, handlers take them out.
#[derive(Clone, Default)]
pub struct Extensions(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Extensions {
    /// Adds a service; one per type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, service: T) -> Self {
        self.0.insert(TypeId::of::<T>(), Arc::new(service));
        self
    }

    /// A service, if this node has it.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>()).cloned()?.downcast().ok()
    }
}

/// What the composition root hands in.
pub struct Services {
    /// Configuration.
    pub config: Arc<Config>,
    /// Starts runs; brings the store, the blobs and everything else of the engine.
    pub starter: Arc<Starter>,
    /// Whether users mode is on.
    pub users_mode: bool,
    /// Who callers are.
    pub authenticator: Arc<dyn Authenticator>,
    /// CSRF tokens of browser sessions.
    pub csrf: Arc<dyn CsrfCheck>,
    /// Where audit records go.
    pub audit: Arc<dyn AuditSink>,
    /// Counters that limit; those of a cluster are shared by its nodes.
    pub counters: Arc<dyn SharedCounters>,
    /// Whether files may be touched.
    pub fit: Fitness,
    /// What `/metrics` shows, if recorded.
    pub metrics: Option<Metrics>,
    /// Services of single families.
    pub extensions: Extensions,
}

/// Shared by all handlers; a cheap clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    config: Arc<Config>,
    starter: Arc<Starter>,
    scopes: Scopes,
    guards: Guards,
    routes: RouteTable,
    streams: Arc<Streams>,
    counters: Arc<dyn SharedCounters>,
    fit: Fitness,
    metrics: Option<Metrics>,
    extensions: Extensions,
    users_mode: bool,
    started: Instant,
    drain: CancellationToken,
    tasks: TaskTracker,
    second_looks: SecondLooks,
}

impl AppState {
    /// The state of a node.
    pub fn new(services: Services) -> Self {
        let Services {
            config,
            starter,
            users_mode,
            authenticator,
            csrf,
            audit,
            counters,
            fit,
            metrics,
            extensions,
        } = services;
        let rule = match users_mode {
            true => PlaneRule::Users {
                admin_uses_default_runtime: config.users.admin_uses_default_runtime,
            },
            false => PlaneRule::SingleToken,
        };
        let deps = starter.deps();
        let drain = CancellationToken::new();
        let max_streams = usize::try_from(config.limits.max_sse).unwrap_or(usize::MAX);
        let guards = Guards {
            enabled: config.auth.security,
            trust_proxy: config.server.trust_proxy,
            access: AccessSettings {
                protect_read: config.auth.protect_read,
                protect_write: config.auth.protect_write,
                dev_read_no_auth: config.auth.dev_read_no_auth,
            },
            origins: OriginPolicy::new(config.auth.allowed_origins.iter().cloned()),
            lockouts: Lockouts::new(
                LockoutPolicy::from_seconds(
                    config.auth.lockout_after,
                    config.auth.lockout_base_s,
                    config.auth.lockout_max_s,
                ),
                counters.clone(),
            ),
            names: CredentialNames {
                session_header: config.sessions.header.to_ascii_lowercase(),
                session_cookie: config.sessions.cookie.clone(),
            },
            csrf_header: config.sessions.csrf_header.to_ascii_lowercase(),
            authenticator,
            csrf,
            bodies: BodyLimits {
                body: config.limits.max_body_bytes,
                upload_cap: config.limits.max_upload_body_bytes,
                attachment: config
                    .limits
                    .max_attachment_bytes
                    .filter(|bytes| *bytes > 0)
                    .unwrap_or(26_214_400),
                bundle: config.limits.max_bundle_bytes,
            },
            places: ConcurrencyLimits::new(
                usize::try_from(config.limits.max_concurrency).unwrap_or(usize::MAX),
                max_streams,
            ),
            plane_rule: rule,
            planes: PlaneLimits::new(
                PlaneCaps {
                    requests: config.limits.max_plane_concurrency,
                    streams: config.limits.max_plane_sse,
                    per_minute: config.limits.max_plane_requests_per_minute,
                },
                counters.clone(),
            ),
            audit,
            audit_headers: config.audit.headers.clone(),
        };
        let streams = Streams::new(deps.store.clone(), deps.feed.clone(), drain.clone());
        Self(Arc::new(Inner {
            scopes: Scopes::new(deps.store.clone(), rule),
            guards,
            routes: RouteTable::new(crate::routes::FAMILIES),
            streams: Arc::new(streams),
            config,
            starter,
            counters,
            fit,
            metrics,
            extensions,
            users_mode,
            started: Instant::now(),
            drain,
            tasks: TaskTracker::new(),
            second_looks: SecondLooks::default(),
        }))
    }

    /// Configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.0.config
    }

    /// A service of a single family, if this node has it.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.extensions.get()
    }

    /// Whether users mode is on.
    pub fn users_mode(&self) -> bool {
        self.0.users_mode
    }

    /// Start of this node.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// Fires when the node leaves: streams end, readiness fails.
    pub fn draining(&self) -> &CancellationToken {
        &self.0.drain
    }

    /// Work that a closed connection does not cancel; awaited at the end of the process.
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    pub(crate) fn guards(&self) -> &Guards {
        &self.0.guards
    }

    pub(crate) fn routes(&self) -> &RouteTable {
        &self.0.routes
    }

    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.0.streams
    }

    /// What the operators' listener of this node shows.
    pub fn ops(&self) -> Ops {
        Ops {
            metrics: self.0.metrics.clone(),
            probe: Arc::new(self.clone()),
        }
    }

    /// Takes runs over later whose holders then still ignore a cancel.
    pub(super) fn look_again(&self, scope: &TenantScope, runs: &[RunId]) {
        if !runs.is_empty() {
            let (deps, drain) = (self.deps(), &self.0.drain);
            self.0.second_looks.add(deps, &self.0.tasks, drain, scope, runs);
        }
    }

    pub(super) async fn scope_of(&self, principal: &Principal) -> Result<TenantScope, StoreError> {
        self.0.scopes.of(principal).await
    }

    pub(super) fn starter(&self) -> &Starter {
        &self.0.starter
    }

    pub(super) fn deps(&self) -> &Deps {
        self.0.starter.deps()
    }

    /// For tests of start-up work, which has no caller.
    #[cfg(test)]
    pub(crate) fn test_deps(&self) -> &Deps {
        self.deps()
    }
}
