use std::sync::Arc;

use ag_effects::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use ag_providers::{
    CapabilityTable, ModelService, ProviderClient, ProviderDirectory, ProviderError, ProviderQuery,
    ServiceCall, ServiceVerb, UpstreamFailure, unknown_provider,
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
    async fn ask(&self, call: ServiceCall<'_>) -> Result<Value, ProviderError> {
        let query: Value = call
            .query
            .iter()
            .map(|(name, value)| json!([name, value]))
            .collect();
        let said = call.body.cloned().unwrap_or(query);
        self.0.lock().push((call.verb, call.path.to_owned(), said));
        let failed = |status| {
            ProviderError::Api(UpstreamFailure {
                family: "AbstractCore".to_owned(),
                status,
                message: "no backend".to_owned(),
                url: "http://s".to_owned(),
                retry_after: None,
            })
        };
        match call.path {
            "acore/models/unload" => Err(ProviderError::Unsupported("gone".to_owned())),
            "v1/vision/provider_models" => Err(failed(501)),
            "v1/embeddings/providers" => Err(failed(404)),
            "v1/models" => Ok(json!({"data": [{"id": "ollama/embed-a"}, {"id": "vllm/embed-b"}]})),
            "providers" => Ok(
                json!({"providers": [{"name": "ollama", "display_name": "Ollama", "status": "available"}]}),
            ),
            "v1/audio/speech/models" => Ok(json!({
                "available": true, "source": "theirs", "models": ["tts-1"], "tts_models_by_provider": {"openai": ["tts-1"]},
            })),
            "v1/audio/voices" => Ok(json!({
                "voices": [{"voice_id": "alloy", "provider": "openai"}], "tts_voices_by_provider": {"openai": ["alloy"]},
                "extra": 1,
            })),
            "v1/vision/models" => Ok(json!({"models": ["sd"], "cache_dirs": ["/root/.cache"]})),
            "v1/config/capability-defaults" => Ok(json!({"ok": true, "routes": []})),
            _ => Ok(json!({"ok": true, "from": "server"})),
        }
    }
}

struct Nobody;

#[async_trait]
impl ProviderDirectory for Nobody {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        Err(unknown_provider(query.provider))
    }
}

fn split() -> (Node, Arc<Service>) {
    let service = Arc::new(Service::default());
    let split = service.clone();
    let node = Node::built(
        |_| {},
        |store| {
            let table = Arc::new(CapabilityTable::built_in());
            let levels = RouteLevels::Single;
            let routes = CapabilityRoutes::new(store.clone(), table, Arc::new(SystemClock), levels, None)
                .with_upstream(Some(split.clone()));
            Extensions::default().with(ModelServices {
                resolver: ModelResolver::new(Arc::new(routes), Arc::new(Nobody)),
                secrets: None,
                split: Some(split),
            })
        },
    );
    (node, service)
}

#[tokio::test]
async fn the_other_service_answers() {
    let (node, service) = split();
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

/// Names of the items of a catalogue, and what it says of itself.
async fn catalogue(node: &Node, path: &str) -> (Value, Vec<String>) {
    let answer = node.get(&format!("/api/gateway/{path}")).await.json();
    assert_eq!(
        answer["upstream_source"], "abstractcore.remote",
        "{path}: {answer}"
    );
    assert_eq!(answer["source"], "abstractruntime.discovery_facade", "{path}");
    let items = answer["items"].as_array().expect("items").iter();
    let items = items
        .map(|item| {
            format!(
                "{}/{}",
                item["provider"].as_str().unwrap_or_default(),
                item["id"].as_str().unwrap_or_default()
            )
        })
        .collect();
    (answer, items)
}

#[tokio::test]
async fn catalogues_are_the_other_services() {
    let (node, service) = split();
    let (speech, items) = catalogue(&node, "audio/speech/models?provider=OpenAI").await;
    assert_eq!(
        (items, &speech["models"]),
        (vec!["openai/tts-1".to_owned()], &json!(["tts-1"]))
    );
    let (_, items) = catalogue(&node, "audio/speech/models?provider=other").await;
    assert!(items.is_empty(), "{items:?}");
    let (voices, items) = catalogue(&node, "voice/voices").await;
    assert_eq!(
        (items, &voices["extra"]),
        (vec!["openai/alloy".to_owned()], &json!(1))
    );
    let (voices, _) = catalogue(&node, "voice/voices?compact=true").await;
    assert_eq!((voices.get("extra"), voices.get("voices")), (None, None));
    let (models, items) = catalogue(&node, "vision/models").await;
    assert_eq!(
        (items, &models["cache_dirs"]),
        (vec!["/sd".to_owned()], &json!([]))
    );
    let (embeddings, items) = catalogue(&node, "embeddings/models").await;
    assert_eq!(items, ["ollama/embed-a", "vllm/embed-b"]);
    assert_eq!(
        embeddings["embedding_models_by_provider"],
        json!({"ollama": ["embed-a"], "vllm": ["embed-b"]})
    );
    let (providers, items) = catalogue(&node, "discovery/providers").await;
    assert_eq!(
        (items, &providers["available"]),
        (vec!["ollama/ollama".to_owned()], &json!(true))
    );
    let (failed, items) = catalogue(&node, "vision/provider_models?task=text_to_video").await;
    assert!(items.is_empty());
    assert_eq!(
        (
            &failed["available"],
            &failed["status_code"],
            &failed["upstream_error"]
        ),
        (&json!(false), &json!(501), &json!("no backend"))
    );
    let defaults = node.get("/api/gateway/config/capability-defaults").await.json();
    assert_eq!(defaults["authority"], "abstractcore.server");
    // An address is the caller's wish: it is passed on only where a provider with it could be asked from here.
    service.0.lock().clear();
    let refused = catalogue(&node, "audio/speech/models?base_url=http%3A%2F%2F10.0.0.1")
        .await
        .0;
    assert_eq!(refused["available"], false);
    assert!(service.0.lock().is_empty());
}
