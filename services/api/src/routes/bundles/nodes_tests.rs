//! Two nodes over one Postgres database agree on the registry at once (architecture D18).

use std::sync::Arc;

use ag_artifacts::MemoryBlobs;
use ag_effects::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use ag_messaging::LocalCounters;
use ag_providers::{CapabilityTable, ProviderClient, ProviderDirectory, ProviderError, ProviderQuery};
use ag_store::Store;
use ag_store_postgres::{PostgresOptions, PostgresStore, migrate};
use ag_testkit::ScratchPostgres;
use ag_types::{RunId, SystemClock};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::tests::{ids, upload};
use crate::{
    Extensions,
    routes::ModelServices,
    testkit::{Answer, Defaults, Ground, Node},
};

/// Two nodes with connections of their own. `None` where Postgres is not installed.
async fn nodes() -> Option<[Node; 2]> {
    let server = ScratchPostgres::shared()?;
    let database = server.database().await;
    let url = server.url(&database);
    migrate(&url.as_str().into()).await.expect("schema");
    let blobs = Arc::new(MemoryBlobs::default());
    let mut out = Vec::new();
    for _ in 0..2 {
        let options = PostgresOptions::new(url.as_str().into());
        let store: Arc<dyn Store> = PostgresStore::connect(options).await.expect("connected");
        let ground = Ground {
            store,
            blobs: blobs.clone(),
            counters: Arc::new(LocalCounters::default()),
        };
        out.push(Node::over(ground, |_| {}, models));
    }
    let b = out.pop()?;
    Some([out.pop()?, b])
}

fn models(store: &Arc<dyn Store>) -> Extensions {
    let routes = CapabilityRoutes::new(
        store.clone(),
        Arc::new(CapabilityTable::built_in()),
        Arc::new(SystemClock),
        RouteLevels::Single,
        None,
    );
    let routes = Arc::new(routes);
    Extensions::default()
        .with(Defaults(routes.clone()))
        .with(ModelServices {
            resolver: ModelResolver::new(routes, Arc::new(NoServers)),
            secrets: None,
            split: None,
        })
}

struct NoServers;

#[async_trait]
impl ProviderDirectory for NoServers {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        Err(ag_providers::unknown_provider(query.provider))
    }
}

async fn start(node: &Node, bundle: &str) -> Answer {
    let body = json!({"bundle_id": bundle, "flow_id": "main", "input_data": {}});
    node.post("/api/gateway/runs/start", &body).await
}

async fn workflow_of(node: &Node, started: &Answer) -> String {
    let run: RunId = started.json()["run_id"]
        .as_str()
        .expect("a run")
        .parse()
        .expect("an id");
    let row = node
        .store
        .run(&node.scope, run)
        .await
        .expect("read")
        .expect("run");
    row.head.workflow_id.to_string()
}

#[tokio::test]
async fn what_one_node_installs_the_other_starts() {
    let Some([a, b]) = nodes().await else { return };
    // Both have looked at the empty registry.
    for node in [&a, &b] {
        assert_eq!(start(node, "b").await.status, 404);
    }
    assert_eq!(upload(&a, "b", "1.0.0", &[]).await.status, 200);
    let started = start(&b, "b").await;
    assert_eq!(started.status, 200, "{}", started.text());
    assert_eq!(workflow_of(&b, &started).await, "b@1.0.0:main");

    // A newer version on the other node is the one that both start from now on, though both know the older one.
    assert_eq!(upload(&b, "b", "1.1.0", &[]).await.status, 200);
    let started = start(&a, "b").await;
    assert_eq!(workflow_of(&a, &started).await, "b@1.1.0:main");
    for node in [&a, &b] {
        assert_eq!(ids(&node.get("/api/gateway/bundles").await), ["b@1.1.0"]);
    }
}

#[tokio::test]
async fn deprecations_and_deletions_hold_everywhere_at_once() {
    let Some([a, b]) = nodes().await else { return };
    for id in ["b", "c"] {
        assert_eq!(upload(&a, id, "1.0.0", &[]).await.status, 200);
        for node in [&a, &b] {
            assert_eq!(start(node, id).await.status, 200);
        }
    }
    let why = json!({"reason": "old"});
    assert_eq!(a.post("/api/gateway/bundles/b/deprecate", &why).await.status, 200);
    let refused = start(&b, "b").await;
    assert_eq!(
        refused.refusal(),
        (409, "Workflow 'b:main' is deprecated: old".to_owned())
    );
    assert_eq!(
        b.post("/api/gateway/bundles/b/undeprecate", &json!({}))
            .await
            .status,
        200
    );
    assert_eq!(start(&a, "b").await.status, 200);

    let running = start(&b, "c").await;
    assert_eq!(a.bare("DELETE", "/api/gateway/bundles/c").await.status, 200);
    assert_eq!(
        start(&b, "c").await.status,
        404,
        "{}",
        start(&b, "c").await.text()
    );
    // What runs keeps its bundle, on both nodes (difference X14).
    assert_eq!(workflow_of(&a, &running).await, "c@1.0.0:main");
    let flow = b.get("/api/gateway/bundles/c/flows/main").await;
    assert_eq!(flow.status, 404);
}

#[tokio::test]
async fn flows_and_defaults_are_shared() {
    let Some([a, b]) = nodes().await else { return };
    let flow = json!({"name": "drawn", "nodes": [], "edges": []});
    let made = a.post("/api/gateway/visualflows", &flow).await;
    assert!(made.status.is_success(), "{}", made.text());
    let id = made.json()["id"].as_str().expect("id").to_owned();
    let shown = b.get(&format!("/api/gateway/visualflows/{id}")).await;
    assert_eq!(shown.json()["name"], "drawn");
    assert!(
        b.bare("DELETE", &format!("/api/gateway/visualflows/{id}"))
            .await
            .status
            .is_success()
    );
    assert_eq!(a.get(&format!("/api/gateway/visualflows/{id}")).await.status, 404);

    let path = "/api/gateway/config/capability-defaults";
    let before = b.get(path).await;
    let route = json!({"provider": "ollama", "model": "qwen3:4b"});
    let set = a.call("PUT", &format!("{path}/output/text"), &route).await;
    assert!(set.status.is_success(), "{}", set.text());
    let shown = |answer: &Answer| answer.text().matches("qwen3:4b").count();
    assert_eq!(shown(&before), 0);
    // A listing may be a second old; a start never is, because it names the generation it was prepared with.
    let seen = async {
        while shown(&b.get(path).await) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen)
        .await
        .expect("the default reaches the other node");
}

/// A start that was prepared with the defaults of a moment ago is prepared again.
#[tokio::test]
async fn a_start_uses_the_defaults_of_now() {
    let Some([a, b]) = nodes().await else { return };
    assert_eq!(upload(&a, "b", "1.0.0", &[]).await.status, 200);
    assert_eq!(start(&b, "b").await.status, 200);
    let route = json!({"provider": "ollama", "model": "qwen3:4b"});
    let path = "/api/gateway/config/capability-defaults/output/text";
    assert!(a.call("PUT", path, &route).await.status.is_success());
    let started = start(&b, "b").await;
    let run: RunId = started.json()["run_id"]
        .as_str()
        .expect("run")
        .parse()
        .expect("id");
    let row = b.store.run(&b.scope, run).await.expect("read").expect("run");
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("vars");
    assert_eq!(vars["_runtime"]["model"], "qwen3:4b", "{}", vars["_runtime"]);
}
