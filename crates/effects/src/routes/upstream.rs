//! Capability defaults in split mode: they belong to the service that calls the models, and are only passed on here.
//!
//! Calls need them too (which model speaks, which one draws), so they are kept for a moment. A service that does not
//! answer is a store that is away: effects wait for it; what was read before stays in force meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ag_providers::{ModelService, ProviderError, ServiceCall, ServiceVerb};
use ag_store::StoreError;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{CapabilityRoutes, Route, RouteError, Routes};

/// Contract, capability discovery §5.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A change made over there is seen after this time; one made here at once.
const FRESH: Duration = Duration::from_secs(5);
const PATH: &str = "v1/config/capability-defaults";
/// Shown in place of the service's file name, which says something about its host.
const STORED_IN: &str = "abstractcore.server";
const HINT: &str = "Model calls go to another service (ABSTRACTCORE_SERVER_BASE_URL); its capability defaults cannot be read now.";

/// The defaults of the service.
pub(super) struct Upstream {
    service: Arc<dyn ModelService>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    routes: Option<Arc<Routes>>,
    /// When the service was asked last, with whatever success.
    asked: Option<Instant>,
}

impl Upstream {
    pub(super) fn new(service: Arc<dyn ModelService>) -> Self {
        Self {
            service,
            kept: Mutex::default(),
        }
    }

    /// The routes that the service has itself; those that it derives from others are derived here again.
    pub(super) async fn routes(&self) -> Result<Arc<Routes>, StoreError> {
        {
            let kept = self.kept.lock();
            if let Some(routes) = &kept.routes
                && kept.asked.is_some_and(|asked| asked.elapsed() < FRESH)
            {
                return Ok(Arc::clone(routes));
            }
        }
        let answer = self
            .service
            .ask(ServiceCall::new(ServiceVerb::Get, PATH, TIMEOUT))
            .await;
        let mut kept = self.kept.lock();
        kept.asked = Some(Instant::now());
        match (answer, &kept.routes) {
            (Ok(answer), _) => {
                let routes = Arc::new(routes_of(&answer));
                kept.routes = Some(Arc::clone(&routes));
                Ok(routes)
            }
            (Err(error), Some(routes)) => {
                tracing::warn!(%error, "capability defaults of the model service are not readable");
                Ok(Arc::clone(routes))
            }
            (Err(error), None) => Err(as_store(&error)),
        }
    }

    /// The whole answer of the configuration page. It is an answer even where the service gives none.
    pub(super) async fn rows(&self) -> Value {
        let call = ServiceCall::new(ServiceVerb::Get, PATH, TIMEOUT);
        match self.service.ask(call).await {
            Ok(mut answer) => {
                if let Some(map) = answer.as_object_mut() {
                    for (key, value) in [
                        ("authority", json!("abstractcore.server")),
                        ("source", json!("abstractcore.server")),
                        ("errors", json!([])),
                    ] {
                        map.entry(key).or_insert(value);
                    }
                    map.insert("config_file".to_owned(), STORED_IN.into());
                    for row in map
                        .get_mut("routes")
                        .and_then(Value::as_array_mut)
                        .into_iter()
                        .flatten()
                    {
                        if row["configured"] == true {
                            row["source"] = "core".into();
                        }
                    }
                }
                answer
            }
            Err(error) => json!({
                "ok": false, "version": 1, "authority": "abstractcore.server", "writable": false,
                "source": "abstractcore.server", "config_file": STORED_IN, "routes": [],
                "errors": [failure(&error)], "config_hint": HINT,
            }),
        }
    }

    /// Sets a default (with a body) or removes it. `key` is a known one.
    pub(super) async fn change(&self, key: &str, body: Option<&Value>) -> Result<(), RouteError> {
        let path = format!("{PATH}/{}", key.replace('.', "/"));
        let verb = match body {
            Some(_) => ServiceVerb::Put,
            None => ServiceVerb::Delete,
        };
        let call = ServiceCall {
            body,
            ..ServiceCall::new(verb, &path, TIMEOUT)
        };
        let done = self.service.ask(call).await;
        self.kept.lock().asked = None;
        done.map(drop)
            .map_err(|error| RouteError::Upstream(failure(&error)))
    }
}

/// The contract's text.
fn failure(error: &ProviderError) -> String {
    match error.upstream() {
        Some(failure) => format!(
            "AbstractCore config route returned HTTP {}: {}",
            failure.status, failure.message
        ),
        None => format!("AbstractCore config route unavailable: {error}"),
    }
}

/// A refusal does not pass by itself, everything else may.
fn as_store(error: &ProviderError) -> StoreError {
    let text = failure(error);
    match error.upstream().map(|failure| failure.status) {
        Some(400..=407 | 409..=428) => StoreError::Internal(text),
        _ => StoreError::Unavailable(text),
    }
}

fn routes_of(answer: &Value) -> Routes {
    let rows = answer.get("routes").and_then(Value::as_array);
    let own = |row: &&Value| {
        row["configured"] == true && row.get("covered_by").is_none() && row.get("derived_from").is_none()
    };
    rows.into_iter()
        .flatten()
        .filter(own)
        .filter_map(|row| Some((row.get("key")?.as_str()?.to_owned(), Route::from_value(row))))
        .collect()
}

impl CapabilityRoutes {
    /// Leaves the defaults to the service that calls the models, in split mode.
    #[must_use]
    pub fn with_upstream(mut self, service: Option<Arc<dyn ModelService>>) -> Self {
        self.upstream = service.map(Upstream::new);
        self
    }
}

#[cfg(test)]
mod tests {
    use ag_providers::{CapabilityTable, UpstreamFailure};
    use ag_store::fake::FakeStore;
    use ag_types::{SystemClock, TenantScope};
    use async_trait::async_trait;

    use super::*;
    use crate::routes::{ModelDefaults as _, RouteLevels};

    #[derive(Default)]
    struct Service {
        asked: Mutex<Vec<(ServiceVerb, String, Value)>>,
        failure: Mutex<Option<ProviderError>>,
    }

    #[async_trait]
    impl ModelService for Service {
        async fn ask(&self, call: ServiceCall<'_>) -> Result<Value, ProviderError> {
            let body = call.body.cloned().unwrap_or_default();
            self.asked.lock().push((call.verb, call.path.to_owned(), body));
            if let Some(error) = &*self.failure.lock() {
                return Err(error.clone());
            }
            Ok(
                json!({"ok": true, "version": 1, "writable": true, "config_file": "/root/core.json", "routes": [
                    {"key": "input.text", "configured": true, "provider": "ollama", "model": "q"},
                    {"key": "input.image", "configured": true, "provider": "ollama", "model": "q", "covered_by": "input.text"},
                    {"key": "output.text", "configured": true, "provider": "ollama", "model": "q", "derived_from": "input.text"},
                    {"key": "output.voice", "configured": true, "provider": "openai", "model": "tts-1", "base_url": null,
                        "options": {"voice": "ash"}},
                    {"key": "output.music", "configured": false},
                ]}),
            )
        }
    }

    fn refused(status: u16) -> ProviderError {
        ProviderError::InvalidRequest(UpstreamFailure {
            family: "AbstractCore".to_owned(),
            status,
            message: "no".to_owned(),
            url: "http://s".to_owned(),
            retry_after: None,
        })
    }

    fn routes(service: &Arc<Service>) -> CapabilityRoutes {
        let clock = Arc::new(SystemClock);
        let store = Arc::new(FakeStore::new(clock.clone()));
        let table = Arc::new(CapabilityTable::built_in());
        CapabilityRoutes::new(store, table, clock, RouteLevels::Users, None)
            .with_upstream(Some(service.clone()))
    }

    #[tokio::test]
    async fn calls_use_the_services_defaults() {
        let service = Arc::new(Service::default());
        let routes = routes(&service);
        let scope = TenantScope::root();
        assert_eq!(
            routes.text_route(&scope).await,
            Some(("ollama".to_owned(), "q".to_owned()))
        );
        let voice = routes
            .route(&scope, "output.voice")
            .await
            .expect("route")
            .expect("set");
        assert_eq!(
            (voice.route.model.as_deref(), &voice.route.options["voice"]),
            (Some("tts-1"), &json!("ash"))
        );
        assert_eq!(routes.route(&scope, "input.image").await.expect("route"), None);
        assert_eq!(
            routes.prompt_cache_key(&scope, "ollama", "q").await.expect("key"),
            None
        );
        assert_eq!(service.asked.lock().len(), 1, "kept");

        let body = json!({"provider": "openai", "model": "gpt-image-1", "options": {"quality": "low"}});
        routes
            .set(&scope, "output.image.text_to_image", &body)
            .await
            .expect("set");
        routes.clear(&scope, "output.text").await.expect("cleared");
        routes.text_route(&scope).await.expect("asked again");
        let asked = service.asked.lock()[1..].to_vec();
        assert_eq!(
            asked,
            [
                (
                    ServiceVerb::Put,
                    format!("{PATH}/output/image/text_to_image"),
                    body
                ),
                (ServiceVerb::Delete, format!("{PATH}/output/text"), Value::Null),
                (ServiceVerb::Get, PATH.to_owned(), Value::Null),
            ]
        );
    }

    #[tokio::test]
    async fn a_service_that_fails() {
        let service = Arc::new(Service::default());
        let routes = routes(&service);
        let scope = TenantScope::root();
        *service.failure.lock() = Some(refused(401));
        let error = routes.route(&scope, "output.voice").await.expect_err("refused");
        assert!(matches!(error, StoreError::Internal(_)), "{error:?}");
        *service.failure.lock() = Some(refused(503));
        let error = routes.route(&scope, "output.voice").await.expect_err("away");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let error = routes
            .set(&scope, "output.voice", &json!({"model": "m"}))
            .await
            .expect_err("away");
        assert_eq!(
            error.to_string(),
            "AbstractCore config route returned HTTP 503: no"
        );
        let error = routes
            .set(&scope, "foo.bar", &json!({"model": "m"}))
            .await
            .expect_err("unknown");
        assert_eq!(error.to_string(), "Failed to set capability default foo.bar");
        let rows = routes.rows(&scope).await.expect("an answer");
        assert_eq!(
            (
                &rows["ok"],
                &rows["writable"],
                &rows["routes"],
                rows["errors"][0].as_str()
            ),
            (
                &json!(false),
                &json!(false),
                &json!([]),
                Some("AbstractCore config route returned HTTP 503: no")
            )
        );
        *service.failure.lock() = None;
        let rows = routes.rows(&scope).await.expect("an answer");
        assert_eq!(
            (
                &rows["authority"],
                &rows["config_file"],
                &rows["routes"][0]["source"],
                rows["routes"][4].get("source")
            ),
            (
                &json!("abstractcore.server"),
                &json!("abstractcore.server"),
                &json!("core"),
                None
            )
        );
    }
}
