//! Ledgers: pages, batches, streams, history.

use ag_store::OwnerRow;
use ag_types::{Clock, RunStatus, SystemClock};
use axum::body::Body;
use serde_json::{Value, json};

use crate::testkit::{Node, Seed, request};

#[tokio::test]
async fn ledgers_in_pages_and_batches() {
    let node = Node::new();
    let (a, b) = (
        node.store_run(Seed {
            records: 5,
            ..Seed::default()
        })
        .await,
        node.store_run(Seed::default()).await,
    );
    let page = node
        .get(&format!("/api/gateway/runs/{a}/ledger?after=2&limit=2"))
        .await;
    assert_eq!(page.header("content-type"), Some("application/json"));
    assert_eq!(
        (
            page.json()["items"].as_array().map(Vec::len),
            &page.json()["next_after"]
        ),
        (Some(2), &json!(4))
    );
    assert_eq!(page.json()["items"][0]["node_id"], "n3");
    assert_eq!(
        node.get(&format!("/api/gateway/runs/{a}/ledger?after=9"))
            .await
            .json(),
        json!({"items": [], "next_after": 9})
    );
    let absent = "00000000-0000-4000-8000-000000000001";
    assert_eq!(
        node.get(&format!("/api/gateway/runs/{absent}/ledger"))
            .await
            .status,
        404
    );
    let asked = json!({"runs": [
        {"run_id": a.to_string(), "after": 1}, {"run_id": absent}, {"run_id": " "},
        {"run_id": b.to_string()}, {"run_id": a.to_string(), "after": 4},
    ]});
    let batch = node.post("/api/gateway/runs/ledger/batch", &asked).await.json();
    assert_eq!(batch["runs"].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(
        batch["runs"][a.to_string()]["items"].as_array().map(Vec::len),
        Some(1),
        "the last mention counts"
    );
    assert_eq!(
        batch["runs"][b.to_string()],
        json!({"items": [], "next_after": 0})
    );
    assert_eq!(
        node.post("/api/gateway/runs/ledger/batch", &json!({}))
            .await
            .json(),
        json!({"runs": {}})
    );
    let bad = node
        .post(
            "/api/gateway/runs/ledger/batch",
            &json!({"runs": [{"after": -1}], "limit": 0}),
        )
        .await;
    let kinds: Vec<Value> = bad.json()["detail"]
        .as_array()
        .expect("list")
        .iter()
        .map(|issue| issue["type"].clone())
        .collect();
    assert_eq!(kinds, ["missing", "greater_than_equal", "greater_than_equal"]);
}

#[tokio::test]
async fn streams_resume_at_the_larger_cursor() {
    let node = Node::new();
    let run = node
        .store_run(Seed {
            status: RunStatus::Completed,
            records: 3,
            ..Seed::default()
        })
        .await;
    for (query, last, first) in [
        ("?after=1", "2", 3),
        ("?after=2", "1", 3),
        ("", "junk", 1),
        ("?after=9", "", 10),
    ] {
        let path = format!("/api/gateway/runs/{run}/ledger/stream{query}");
        let request = request("GET", &path)
            .header("last-event-id", last)
            .body(Body::empty())
            .expect("request");
        let text = node.send(request).await.text();
        assert_eq!(
            text.matches("event: step\n").count() as i64,
            (4 - first).max(0),
            "{query} {last}"
        );
        assert!(text.ends_with("\"status\": \"terminal\"}\n\n"), "{text}");
    }
    for (query, status) in [
        ("?heartbeat_s=0.1", 422),
        ("?heartbeat_s=61", 422),
        ("?heartbeat_s=nan", 422),
    ] {
        let answer = node
            .get(&format!("/api/gateway/runs/{run}/ledger/stream{query}"))
            .await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn owners_of_memory_look_like_finished_runs() {
    let node = Node::new();
    let now = SystemClock.now();
    let id = "session_memory_s";
    let owner = OwnerRow {
        owner_id: id.to_owned(),
        session_id: Some("s".to_owned()),
        created_at: now,
        updated_at: now,
    };
    node.store.ensure_owner(&node.scope, owner).await.expect("stored");
    let summary = node.get(&format!("/api/gateway/runs/{id}")).await.json();
    assert_eq!(
        (&summary["status"], &summary["workflow_id"]),
        (&json!("completed"), &json!("__session_memory__"))
    );
    assert_eq!(summary["actor_id"], Value::Null);
    let ledger = node
        .get(&format!("/api/gateway/runs/{id}/ledger?after=2"))
        .await
        .json();
    assert_eq!(ledger, json!({"items": [], "next_after": 2}));
    let stream = node
        .get(&format!("/api/gateway/runs/{id}/ledger/stream"))
        .await
        .text();
    assert_eq!(
        stream,
        "event: done\ndata: {\"run_id\": \"session_memory_s\", \"cursor\": 0, \"status\": \"terminal\"}\n\n"
    );
    assert_eq!(
        node.get("/api/gateway/runs/session_memory_other").await.status,
        404
    );
}

#[tokio::test]
async fn history_bundles_hold_the_tree() {
    let node = Node::new();
    let vars = json!({"prompt": "hi", "_private": 1});
    let root = node
        .store_run(Seed {
            vars,
            session: Some("s".into()),
            records: 7,
            status: RunStatus::Completed,
            ..Seed::default()
        })
        .await;
    let child = node
        .store_run(Seed {
            parent: Some(root),
            session: Some("s".into()),
            ..Seed::default()
        })
        .await;
    let bundle = async |query: &str| {
        node.get(&format!("/api/gateway/runs/{root}/history_bundle{query}"))
            .await
    };
    let tail = bundle("?ledger_max_items=2&include_session=true").await.json();
    let ledger = &tail["ledgers"][root.to_string()];
    assert_eq!(
        (&ledger["total"], &ledger["cursor_start"], &ledger["cursor_end"]),
        (&json!(7), &json!(6), &json!(7))
    );
    assert_eq!(ledger["items"][0]["record"]["node_id"], "n6");
    let empty = &tail["ledgers"][child.to_string()];
    assert_eq!(
        (&empty["cursor_start"], &empty["cursor_end"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        tail["ledgers"].as_object().expect("object").keys().next(),
        Some(&root.to_string())
    );
    assert_eq!(tail["input_data"], json!({"prompt": "hi"}));
    assert_eq!(tail["timeline"][1]["ended_at"], "2026-01-01T00:00:07+00:00");
    assert_eq!(tail["session"]["turns"][0]["prompt"], "hi");
    assert_eq!(tail["session"]["turns"].as_array().map(Vec::len), Some(1));
    let full = bundle("?ledger_max_items=0&include_subruns=false").await.json();
    assert_eq!(full["ledgers"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(full["timeline"].as_array().map(Vec::len), Some(7));
    assert_eq!(full["session"], Value::Null);
    assert_eq!(
        bundle("?ledger_mode=x").await.refusal(),
        (400, "ledger_mode must be 'tail' or 'full'".to_owned())
    );
    assert_eq!(
        node.get("/api/gateway/runs/x/history_bundle").await.refusal(),
        (404, "\"Run 'x' not found\"".to_owned())
    );
}
