//! Which model does what by default, and how a name becomes something callable.
//!
//! * [`CapabilityRoutes`] keeps the capability defaults of planes as documents and answers the configuration page.
//! * [`ModelResolver`] turns "this provider and model, or whatever is configured" into a client.
//! * [`Catalogues`] lists providers and models for nodes.
//! * [`ModelDefaults`] is what seeding a run needs of all this.
//!
//! Everything is looked up when it is used, never at start: a changed default is in force for the next call, and a
//! default that names a missing connection fails that call instead of the service (contract, capability discovery §8).

mod cache_keys;
mod catalogues;
mod keys;
mod resolver;
mod rows;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ag_providers::{CapabilityTable, EndpointOrigin, Support};
use ag_store::{Document, DocumentKind, Documents, PutMode, StoreError};
use ag_types::{Clock, Object, PlaneId, TenantScope};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use catalogues::Catalogues;
pub use resolver::{ModelQuery, ModelResolver, ResolveError, ResolvedModel, plane_name, scope_of_plane_name};

use cache_keys::CacheKeys;
use upstream::Upstream;

/// Limits of a model, as run variables need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// Context size in tokens.
    pub max_tokens: u64,
    /// Most output tokens.
    pub max_output_tokens: u64,
    /// `native`, `prompted` or `none`.
    pub tool_support: &'static str,
}

/// Default models of a plane.
#[async_trait]
pub trait ModelDefaults: Send + Sync {
    /// Provider and model for text, if any is configured.
    async fn text_route(&self, scope: &TenantScope) -> Option<(String, String)>;
    /// Limits of a model; unknown and absent ones have conservative values.
    fn limits(&self, model: Option<&str>) -> ModelLimits;
    /// Forgets what is remembered of a plane: another node has changed something.
    fn forget(&self, _scope: &TenantScope) {}
}

/// A configured default. Blank texts count as absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Family or `endpoint:<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Model name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Address in place of the provider's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Request options where a call sets none (`voice`, `language`, ...).
    #[serde(skip_serializing_if = "Object::is_empty")]
    pub options: Object,
}

impl Route {
    /// Reads `{provider?, model?, base_url?, options?}`; other members are ignored.
    pub fn from_value(body: &Value) -> Self {
        let text = |key: &str| body.get(key).and_then(ag_pyvalue::opt_str);
        Self {
            provider: text("provider"),
            model: text("model"),
            base_url: text("base_url"),
            options: body
                .get("options")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// Provider and model, when both are set.
    pub fn pair(&self) -> Option<(&str, &str)> {
        Some((self.provider.as_deref()?, self.model.as_deref()?))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A default and who is answerable for its address.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRoute {
    /// The default.
    pub route: Route,
    /// Decides which addresses `base_url` may name.
    pub origin: EndpointOrigin,
}

/// How many levels of defaults there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteLevels {
    /// Single-token mode: one set for everybody.
    Single,
    /// Users mode: the root plane's set, and per plane an overlay by route key.
    Users,
}

/// Why a default could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No such route.
    #[error("Failed to {verb} capability default {key}")]
    UnknownKey {
        /// `set` or `clear`.
        verb: &'static str,
        /// Kind and modality as given, without the task (contract text).
        key: String,
    },
    /// The service that keeps the defaults in split mode did not take it.
    #[error("{0}")]
    Upstream(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Routes = BTreeMap<String, Route>;

/// Planes whose routes are kept in memory; beyond, all are read anew.
const MAX_CACHED_PLANES: usize = 10_000;

/// The capability defaults of all planes.
pub struct CapabilityRoutes {
    documents: Arc<dyn Documents>,
    table: Arc<CapabilityTable>,
    clock: Arc<dyn Clock>,
    levels: RouteLevels,
    service_default: Option<Route>,
    cache: Mutex<HashMap<PlaneId, Cached>>,
    /// Keeps them instead, in split mode.
    upstream: Option<Upstream>,
}

/// Routes and cache keys of a plane as they were read.
struct Cached {
    generation: i64,
    /// When the generation was last compared with the store's.
    checked: Instant,
    routes: Arc<Routes>,
    cache_keys: Arc<CacheKeys>,
}

/// For this long a cached set is used without asking the store: a start reads it, and a change made on another node
/// may take a moment to be seen. A change made here is seen at once.
const FRESH: Duration = Duration::from_secs(1);

impl CapabilityRoutes {
    /// Defaults kept in `documents`. `service_default` is the text route when nothing is configured.
    pub fn new(
        documents: Arc<dyn Documents>,
        table: Arc<CapabilityTable>,
        clock: Arc<dyn Clock>,
        levels: RouteLevels,
        service_default: Option<Route>,
    ) -> Self {
        Self {
            documents,
            table,
            clock,
            levels,
            service_default,
            cache: Mutex::default(),
            upstream: None,
        }
    }

    /// The levels in force.
    pub fn levels(&self) -> RouteLevels {
        self.levels
    }

    /// The model table that limits and derived rows come from.
    pub fn table(&self) -> &Arc<CapabilityTable> {
        &self.table
    }

    /// The default of a route key (`output.image.text_to_image`): the plane's own, else the gateway's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn route(&self, scope: &TenantScope, key: &str) -> Result<Option<FoundRoute>, StoreError> {
        let key = keys::stored_key(key);
        if let Some(overlay) = self.overlay(scope).await?
            && let Some(route) = overlay.get(key)
        {
            return Ok(Some(FoundRoute {
                route: route.clone(),
                origin: EndpointOrigin::User,
            }));
        }
        let baseline = self.stored(&TenantScope::root()).await?;
        let found = baseline.get(key).cloned();
        Ok(found.map(|route| FoundRoute {
            route,
            origin: EndpointOrigin::Operator,
        }))
    }

    /// The first configured default of several keys, most special first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_route(
        &self,
        scope: &TenantScope,
        keys: &[&str],
    ) -> Result<Option<FoundRoute>, StoreError> {
        for key in keys {
            if let Some(found) = self.route(scope, key).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The default for text with both provider and model: the configured one, else the service's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn text(&self, scope: &TenantScope) -> Result<Option<FoundRoute>, StoreError> {
        let configured = self.route(scope, "input.text").await?;
        let service = || {
            let route = self.service_default.clone()?;
            Some(FoundRoute {
                route,
                origin: EndpointOrigin::Operator,
            })
        };
        let whole = |found: &FoundRoute| found.route.pair().is_some();
        Ok(configured.filter(whole).or_else(|| service().filter(whole)))
    }

    /// The whole answer of the configuration page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, scope: &TenantScope) -> Result<Value, StoreError> {
        if let Some(upstream) = &self.upstream {
            return Ok(upstream.rows().await);
        }
        let baseline = self.stored(&TenantScope::root()).await?;
        let overlay = self.overlay(scope).await?;
        Ok(rows::answer(
            &self.table,
            self.levels,
            &baseline,
            overlay.as_deref(),
        ))
    }

    /// Stores a default at the caller's level; a body without any value clears it.
    ///
    /// # Errors
    /// [`RouteError`].
    pub async fn set(&self, scope: &TenantScope, key: &str, body: &Value) -> Result<(), RouteError> {
        let stored_key = known("set", key)?;
        if let Some(upstream) = &self.upstream {
            return upstream.change(key, Some(body)).await;
        }
        let route = Route::from_value(body);
        if route.is_empty() {
            return self.clear(scope, key).await;
        }
        let body = serde_json::to_string(&route).unwrap_or_default();
        let document = Document {
            id: stored_key.to_owned(),
            body,
            updated_at: self.clock.now(),
        };
        let level = self.level(scope);
        self.documents
            .put_document(&level, DocumentKind::CapabilityDefault, document, PutMode::Upsert)
            .await?;
        self.cache.lock().remove(&level.plane);
        Ok(())
    }

    /// Removes a default at the caller's level; a lower level shows again.
    ///
    /// # Errors
    /// [`RouteError`].
    pub async fn clear(&self, scope: &TenantScope, key: &str) -> Result<(), RouteError> {
        let stored_key = known("clear", key)?;
        if let Some(upstream) = &self.upstream {
            return upstream.change(key, None).await;
        }
        let level = self.level(scope);
        self.documents
            .delete_document(&level, DocumentKind::CapabilityDefault, stored_key)
            .await?;
        self.cache.lock().remove(&level.plane);
        Ok(())
    }

    /// Where a caller's changes go.
    fn level(&self, scope: &TenantScope) -> TenantScope {
        match self.levels {
            RouteLevels::Single => TenantScope::root(),
            RouteLevels::Users => scope.clone(),
        }
    }

    async fn overlay(&self, scope: &TenantScope) -> Result<Option<Arc<Routes>>, StoreError> {
        if self.upstream.is_some() || self.levels == RouteLevels::Single || scope.plane == PlaneId::ROOT {
            return Ok(None);
        }
        self.stored(scope).await.map(Some)
    }

    async fn stored(&self, scope: &TenantScope) -> Result<Arc<Routes>, StoreError> {
        Ok(self.held(scope).await?.0)
    }

    /// Routes and cache keys of one plane. The plane's generation rises with every change, so comparing it is enough.
    async fn held(&self, scope: &TenantScope) -> Result<(Arc<Routes>, Arc<CacheKeys>), StoreError> {
        if let Some(upstream) = &self.upstream {
            return Ok((upstream.routes().await?, Arc::default()));
        }
        if let Some(cached) = self.cache.lock().get(&scope.plane)
            && cached.checked.elapsed() < FRESH
        {
            return Ok(cached.held());
        }
        let generation = self.documents.generation(scope).await?;
        if let Some(cached) = self.cache.lock().get_mut(&scope.plane)
            && cached.generation == generation
        {
            cached.checked = Instant::now();
            return Ok(cached.held());
        }
        let (generation, documents) = self
            .documents
            .documents(scope, DocumentKind::CapabilityDefault)
            .await?;
        // Read after the generation was: a change in between is found by the next comparison.
        let (_, keys) = self
            .documents
            .documents(scope, DocumentKind::PromptCacheKey)
            .await?;
        let cached = Cached {
            generation,
            checked: Instant::now(),
            routes: Arc::new(routes_of(documents)),
            cache_keys: Arc::new(cache_keys::read(keys)),
        };
        let held = cached.held();
        let mut cache = self.cache.lock();
        if cache.len() >= MAX_CACHED_PLANES && !cache.contains_key(&scope.plane) {
            cache.clear();
        }
        cache.insert(scope.plane, cached);
        Ok(held)
    }
}

impl Cached {
    fn held(&self) -> (Arc<Routes>, Arc<CacheKeys>) {
        (Arc::clone(&self.routes), Arc::clone(&self.cache_keys))
    }
}

fn routes_of(documents: Vec<Document>) -> Routes {
    let mut routes = Routes::new();
    for document in documents {
        match serde_json::from_str::<Value>(&document.body) {
            Ok(body) => {
                let route = Route::from_value(&body);
                if !route.is_empty() {
                    routes.insert(document.id, route);
                }
            }
            Err(error) => {
                tracing::warn!(route = %document.id, %error, "stored capability default is damaged");
            }
        }
    }
    routes
}

/// The key under which a known route is stored.
fn known<'k>(verb: &'static str, key: &'k str) -> Result<&'k str, RouteError> {
    if keys::is_known(key) {
        return Ok(keys::stored_key(key));
    }
    let key = key.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    Err(RouteError::UnknownKey { verb, key })
}

#[async_trait]
impl ModelDefaults for CapabilityRoutes {
    async fn text_route(&self, scope: &TenantScope) -> Option<(String, String)> {
        match self.text(scope).await {
            Ok(found) => found.and_then(|found| Some((found.route.provider?, found.route.model?))),
            Err(error) => {
                tracing::warn!(%error, "default model is not readable");
                None
            }
        }
    }

    fn limits(&self, model: Option<&str>) -> ModelLimits {
        let row = self.table.lookup(model.unwrap_or_default());
        ModelLimits {
            max_tokens: row.max_tokens,
            max_output_tokens: row.max_output_tokens,
            tool_support: match row.tools {
                Support::Native => "native",
                Support::Prompted => "prompted",
                Support::None => "none",
            },
        }
    }

    fn forget(&self, scope: &TenantScope) {
        let mut cache = self.cache.lock();
        cache.remove(&scope.plane);
        cache.remove(&PlaneId::ROOT);
    }
}
