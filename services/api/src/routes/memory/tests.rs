//! The knowledge graph and the embedding model over HTTP.

use ag_store::{Assertion, MemoryRow, Start};
use ag_types::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::{
    routes::testing::{Keys, modelled},
    testkit::{Node, Seed},
};

const KG: &str = "/api/gateway/kg/query";

fn statement(owner: &str, scope: &str, object: &str, observed_at: &str) -> MemoryRow {
    MemoryRow::Assertion(Box::new(Assertion {
        assertion_id: object.to_owned(),
        owner_id: owner.to_owned(),
        scope: scope.to_owned(),
        subject: "ex:a".to_owned(),
        predicate: "rdf:type".to_owned(),
        object: object.to_owned(),
        observed_at: observed_at.to_owned(),
        valid_from: None,
        valid_until: None,
        body: r#"{"provenance":{},"attributes":{}}"#.into(),
        embedding: None,
    }))
}

async fn add(node: &Node, memory: Vec<MemoryRow>) {
    let start = Start {
        key: None,
        generation: None,
        runs: vec![],
        artifacts: vec![],
        owners: vec![],
        memory,
        mail: vec![],
        now: SystemClock.now(),
    };
    node.store
        .start(&ag_types::TenantScope::root(), start)
        .await
        .expect("rows");
}

fn objects(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().expect("items");
    items.iter().filter_map(|item| item["object"].as_str()).collect()
}

#[tokio::test]
async fn statements_by_scope_and_owner() {
    let node = Node::new();
    let nothing = node.call("POST", KG, &json!({"scope": "zz"})).await;
    assert_eq!(
        nothing.status.as_u16(),
        200,
        "an empty store is told before anything else"
    );
    assert_eq!(
        nothing.json()["warnings"],
        json!(["KG store does not exist at database (no persisted assertions yet)."])
    );
    let seed = Seed {
        session: Some("s".to_owned()),
        ..Seed::default()
    };
    let run = node.store_run(seed).await.to_string();
    let rows = vec![
        statement(&run, "run", "r", "2026-01-03"),
        statement("session_memory_s", "session", "s1", "2026-01-02"),
        statement("session_memory_s", "session", "s2", "2026-01-04"),
        statement("global_memory", "global", "g", "2026-01-01"),
    ];
    add(&node, rows).await;
    for (body, owner, expected) in [
        (
            json!({"session_id": "s"}),
            json!("session_memory_s"),
            vec!["s2", "s1"],
        ),
        (
            json!({"run_id": run}),
            json!("session_memory_s"),
            vec!["s2", "s1"],
        ),
        (json!({"run_id": run, "scope": "RUN"}), json!(run), vec!["r"]),
        (json!({"run_id": "zz", "scope": "run"}), json!("zz"), vec![]),
        (
            json!({"run_id": run, "scope": "all"}),
            json!(null),
            vec!["s2", "r", "s1", "g"],
        ),
        (
            json!({"run_id": run, "scope": "all", "order": "asc", "limit": 2}),
            json!(null),
            vec!["g", "s1"],
        ),
        (json!({"scope": "global"}), json!("global_memory"), vec!["g"]),
        (
            json!({"all_owners": true, "scope": "all"}),
            json!(null),
            vec!["s2", "r", "s1", "g"],
        ),
        (
            json!({"all_owners": true, "limit": 0}),
            json!(null),
            vec!["s2", "s1"],
        ),
        (
            json!({"owner_id": "session_memory_s", "object": " S1 "}),
            json!("session_memory_s"),
            vec!["s1"],
        ),
        (
            json!({"session_id": "s", "since": "2026-01-03"}),
            json!("session_memory_s"),
            vec!["s2"],
        ),
    ] {
        let answer = node.call("POST", KG, &body).await.json();
        assert_eq!(objects(&answer), expected, "{body}");
        assert_eq!(
            (&answer["owner_id"], &answer["warnings"]),
            (&owner, &json!(null)),
            "{body}"
        );
    }
    let answer = node
        .call(
            "POST",
            KG,
            &json!({"run_id": "zz", "session_id": "s", "scope": "all"}),
        )
        .await
        .json();
    assert_eq!(
        answer["warnings"],
        json!([
            "Run 'zz' not found; querying session+global only for session_id='s'",
            "run scope omitted (no run_id available)"
        ])
    );
    for (body, status, detail) in [
        (
            json!({"scope": "zz"}),
            400,
            "scope must be one of run|session|global|all",
        ),
        (
            json!({"scope": "all", "owner_id": "x"}),
            400,
            "owner_id is not supported when scope=all",
        ),
        (
            json!({"all_owners": true, "owner_id": "x"}),
            400,
            "all_owners cannot be combined with owner_id",
        ),
        (
            json!({"scope": "run"}),
            400,
            "run_id is required for scope=run (or provide owner_id)",
        ),
        (
            json!({}),
            400,
            "run_id or session_id is required for scope=session (or provide owner_id)",
        ),
        (
            json!({"scope": "all"}),
            400,
            "run_id or session_id is required when scope=all (or set all_owners=true)",
        ),
        (json!({"run_id": "zz"}), 404, "Run 'zz' not found"),
        (
            json!({"session_id": "s", "query_text": "x"}),
            400,
            "Semantic KG query is not available for memory backend 'sqlite'. Use a vector-capable backend with the \
             execution-host embedding.text route configured, or omit query_text.",
        ),
    ] {
        let answer = node.call("POST", KG, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert_eq!(answer.json()["detail"], detail, "{body}");
    }
    let limit = node.call("POST", KG, &json!({"limit": -2})).await;
    assert_eq!(limit.status.as_u16(), 422);
}

#[tokio::test]
async fn the_embedding_model_is_fixed() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let config = node.get("/api/gateway/embeddings/config").await.json();
    assert_eq!(
        (&config["ok"], &config["provider"], &config["dimension"]),
        (&json!(false), &json!(""), &json!(0))
    );
    let body = json!({"input": "x"});
    let refused = node.call("POST", "/api/gateway/embeddings", &body).await;
    assert_eq!(refused.status.as_u16(), 503);

    let route = json!({"provider": "openai-compatible", "model": "m"});
    let path = "/api/gateway/config/capability-defaults/embedding/text";
    assert_eq!(node.call("PUT", path, &route).await.status.as_u16(), 200);
    let config = node.get("/api/gateway/embeddings/config").await.json();
    assert_eq!(
        (
            &config["ok"],
            &config["route"],
            &config["model"],
            &config["base_url"]
        ),
        (&json!(true), &json!("embedding.text"), &json!("m"), &json!(null))
    );
    let dimension = config["dimension"].as_u64().expect("number");
    assert!(dimension > 0);
    let body = json!({"input": ["a", 5], "provider": "OpenAI-Compatible", "model": "m"});
    let made = node.call("POST", "/api/gateway/embeddings", &body).await.json();
    assert_eq!(
        (&made["object"], &made["dimension"], &made["data"][1]["index"]),
        (&json!("list"), &json!(dimension), &json!(1))
    );
    let none = node
        .call("POST", "/api/gateway/embeddings", &json!({"input": []}))
        .await
        .json();
    assert_eq!((&none["dimension"], &none["data"]), (&json!(0), &json!([])));
    let wrong = node
        .call(
            "POST",
            "/api/gateway/embeddings",
            &json!({"input": "x", "model": "other"}),
        )
        .await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert_eq!(
        wrong.json()["detail"],
        "Embedding model is fixed for this gateway instance (expected 'm', got 'other')"
    );
}
