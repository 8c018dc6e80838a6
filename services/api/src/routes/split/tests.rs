use std::{sync::Arc, time::Duration};

use ag_effects::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use ag_providers::{
    CapabilityTable, ModelService, ProviderClient, ProviderDirectory, ProviderError, ProviderQuery,
    ServiceVerb, unknown_provider,
};
use ag_types::SystemClock;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{Extensions, routes::ModelServices, testkit::Node};

/// Records what it is asked; fails where the path says so.
#[derive(Default)]
struct Service(Mutex<Vec<(ServiceVerb, String, Value)>>);

#[async_trait]
impl ModelService for Service {
    async fn ask(
        &self,
        verb: ServiceVerb,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
        _: Duration,
    ) -> Result<Value, ProviderError> {
        let query: Value = query.iter().map(|(name, value)| json!([name, value])).collect();
        self.0
            .lock()
            .push((verb, path.to_owned(), body.cloned().unwrap_or(query)));
        if path.ends_with("unload") {
            return Err(ProviderError::Unsupported("gone".to_owned()));
        }
        Ok(json!({"ok": true, "from": "server"}))
    }
}

struct Nobody;

#[async_trait]
impl ProviderDirectory for Nobody {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        Err(unknown_provider(query.provider))
    }
}

#[tokio::test]
async fn the_other_service_answers() {
    let service = Arc::new(Service::default());
    let split = service.clone();
    let node = Node::built(
        |_| {},
        |store| {
            let table = Arc::new(CapabilityTable::built_in());
            let levels = RouteLevels::Single;
            let routes = CapabilityRoutes::new(store.clone(), table, Arc::new(SystemClock), levels, None);
            Extensions::default().with(ModelServices {
                resolver: ModelResolver::new(Arc::new(routes), Arc::new(Nobody)),
                secrets: None,
                split: Some(split),
            })
        },
    );
    let loaded = node
        .get("/api/gateway/models/loaded?task=text_generation")
        .await
        .json();
    assert_eq!(
        loaded,
        json!({"ok": true, "from": "server", "source": "abstractruntime.host_facade", "route_available": true})
    );
    let model = json!({"provider": "mlx", "model": "m"});
    let failed = node.post("/api/gateway/models/unload", &model).await.json();
    assert_eq!(
        (&failed["ok"], &failed["error"], &failed["operation"]),
        (&json!(false), &json!("gone"), &json!("unload"))
    );
    let set = json!({"provider": "mlx", "model": "m", "key": "k", "ttl_s": 5});
    assert_eq!(
        node.post("/api/gateway/prompt_cache/set", &set).await.json()["from"],
        "server"
    );
    let text = json!({"path": "p", "content": "c"});
    assert_eq!(
        node.post("/api/gateway/blocs/upsert_text", &text).await.json()["from"],
        "server"
    );
    let saved = node
        .get("/api/gateway/prompt_cache/saved?provider=mlx&model=m")
        .await
        .json();
    assert_eq!(saved["code"], "prompt_cache_local_only");
    let seen = service.0.lock().clone();
    assert_eq!(
        seen,
        [
            (
                ServiceVerb::Get,
                "acore/models/loaded".to_owned(),
                json!([["task", "text_generation"]])
            ),
            (ServiceVerb::Post, "acore/models/unload".to_owned(), model),
            (
                ServiceVerb::Post,
                "acore/prompt_cache/set".to_owned(),
                json!({"key": "k", "make_default": true, "ttl_s": 5.0, "provider": "mlx", "model": "m"})
            ),
            (
                ServiceVerb::Post,
                "acore/blocs/upsert_text".to_owned(),
                json!({"path": "p", "media_type": "text", "content": "c"})
            ),
        ]
    );
}
