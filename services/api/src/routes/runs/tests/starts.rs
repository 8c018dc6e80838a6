//! Starts and commands.

use serde_json::{Value, json};

use crate::testkit::{Node, Seed, json_request};

const FLOW: &str = "test:flow";

async fn started(node: &Node, body: &Value) -> String {
    let answer = node.post("/api/gateway/runs/start", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["run_id"].as_str().expect("run_id").to_owned()
}

#[tokio::test]
async fn a_started_run_is_there_at_once() {
    let node = Node::new();
    node.store_flow(FLOW).await;
    let run = started(
        &node,
        &json!({
            "flow_id": FLOW, "session_id": "s 1", "thinking": " high ",
            "input_data": {"x": 1, "_runtime": {"workflow_policy": {"forged": true}}, "media": ["a.png"]},
            "run_lifecycle": {"purpose": "draft_test", "retention": {"mode": "ephemeral"}, "other": 1},
        }),
    )
    .await;
    let row = node
        .store
        .run(&node.scope, run.parse().expect("id"))
        .await
        .expect("read")
        .expect("row");
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("JSON");
    assert_eq!(vars["x"], 1);
    assert_eq!(vars["_runtime"]["thinking"], "high");
    assert_eq!(vars["_runtime"].get("workflow_policy"), None);
    assert_eq!(vars["context"]["attachments"], json!(["a.png"]));
    assert_eq!(
        vars["_run_lifecycle"],
        json!({"purpose": "draft_test", "retention": {"mode": "ephemeral"}})
    );
    let root = std::path::Path::new(vars["workspace_root"].as_str().expect("root"));
    assert!(
        root.is_absolute() && !root.exists(),
        "chosen, not made: {}",
        root.display()
    );
    assert_eq!(root.file_name().expect("name").len(), 32);
    let owner = ag_artifacts::session_memory_run_id("s 1");
    assert!(
        node.store
            .owner(&node.scope, &owner)
            .await
            .expect("read")
            .is_some()
    );

    let summary = node.get(&format!("/api/gateway/runs/{run}")).await.json();
    assert_eq!(
        (&summary["run_id"], &summary["session_id"]),
        (&json!(run), &json!("s 1"))
    );
    assert_eq!(
        (&summary["actor_id"], &summary["is_draft"]),
        (&json!("gateway"), &json!(true))
    );
    assert_eq!(summary["limits"]["tokens"]["pct"], 0.0);
    let listed = node.get("/api/gateway/runs?include_drafts=true").await.json();
    assert_eq!(listed["items"][0]["run_id"], json!(run));
    assert_eq!(
        node.get("/api/gateway/runs").await.json()["items"],
        json!([]),
        "drafts are hidden"
    );
}

#[tokio::test]
async fn starts_are_refused_with_the_contract_s_words() {
    let node = Node::new();
    for (body, status, detail) in [
        (
            json!({}),
            400,
            "flow_id is required (or provide bundle_id to start a bundle entrypoint)",
        ),
        (json!({"flow_id": "no:flow"}), 404, "Workflow 'no:flow' not found"),
        (json!({"bundle_id": "b"}), 404, "Bundle 'b' not found"),
        (
            json!({"flow_id": "f", "registry_scope": "elsewhere"}),
            400,
            "Unsupported registry_scope: elsewhere",
        ),
        (
            json!({"flow_id": FLOW, "input_data": {"f": {"$artifact": "../x"}}}),
            400,
            "Invalid artifact id: ../x",
        ),
        (
            json!({"flow_id": FLOW, "input_data": {"f": {"$artifact": "x"}}}),
            404,
            "Artifact 'x' not found",
        ),
    ] {
        let answer = node.post("/api/gateway/runs/start", &body).await;
        assert_eq!(answer.refusal(), (status, detail.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_repeated_key_starts_one_run() {
    let node = Node::new();
    node.store_flow(FLOW).await;
    let keyed = |body: Value| {
        let mut request = json_request("/api/gateway/runs/start", &body);
        request
            .headers_mut()
            .insert("idempotency-key", http::HeaderValue::from_static("k"));
        request
    };
    let first = node.send(keyed(json!({"flow_id": FLOW}))).await.json();
    assert_eq!(node.send(keyed(json!({"flow_id": FLOW}))).await.json(), first);
    let other = node
        .send(keyed(json!({"flow_id": FLOW, "input_data": {"x": 1}})))
        .await;
    assert_eq!(other.status, 409);
}

#[tokio::test]
async fn commands_are_accepted_once_and_shown() {
    let node = Node::new();
    let run = node.store_run(Seed::default()).await.to_string();
    let command = json!({"command_id": "c1", "run_id": run, "type": "cancel", "payload": {"reason": "done"}});
    let first = node.post("/api/gateway/commands", &command).await.json();
    assert_eq!(first, json!({"accepted": true, "duplicate": false, "seq": 1}));
    let again = node.post("/api/gateway/commands", &command).await.json();
    assert_eq!(again, json!({"accepted": false, "duplicate": true, "seq": 1}));
    for path in ["/api/gateway/commands/c1", "/api/v1/commands/c1"] {
        let shown = node.get(path).await.json();
        assert_eq!(
            (&shown["type"], &shown["pending"], &shown["payload"]["reason"]),
            (&json!("cancel"), &json!(true), &json!("done"))
        );
    }
    assert_eq!(
        node.get("/api/v1/commands/none").await.refusal(),
        (404, "Command 'none' not found".to_owned())
    );
    let absent = "00000000-0000-4000-8000-000000000001";
    for (body, status, detail) in [
        (
            json!({"command_id": "c2", "run_id": run, "type": "Cancel"}),
            400,
            "type must be one of pause|resume|cancel|emit_event|update_schedule|compact_memory".to_owned(),
        ),
        (
            json!({"command_id": "c2", "run_id": " ", "type": "cancel"}),
            400,
            "Failed to append command: CommandRecord.run_id must be non-empty".to_owned(),
        ),
        (
            json!({"command_id": "c2", "run_id": absent, "type": "pause"}),
            404,
            format!("Run '{absent}' not found"),
        ),
    ] {
        assert_eq!(
            node.post("/api/gateway/commands", &body).await.refusal(),
            (status, detail)
        );
    }
    let generated = node
        .post(
            "/api/gateway/commands",
            &json!({"command_id": "", "run_id": "s", "type": "emit_event", "payload": {"name": "n"}}),
        )
        .await;
    assert_eq!(generated.json()["accepted"], true);
    let null = node
        .post(
            "/api/gateway/commands",
            &json!({"command_id": "x", "run_id": run, "type": "pause", "payload": null}),
        )
        .await;
    assert_eq!(
        (null.status.as_u16(), &null.json()["detail"][0]["type"]),
        (422, &json!("dict_type"))
    );
}
