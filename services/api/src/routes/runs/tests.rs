//! The run operations through the router.

use ag_store::OwnerRow;
use ag_types::{Clock, RunStatus, SystemClock, Wait, WaitReason};
use axum::body::Body;
use serde_json::{Value, json};

use crate::testkit::{Node, Seed, json_request, request};

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
async fn summaries_read_the_parts_they_need() {
    let node = Node::new();
    let mut wait = Wait::new(WaitReason::User, Some("user:r:q".to_owned()));
    wait.prompt = Some("who?".to_owned());
    wait.resume_to_node = Some("next".to_owned());
    let vars = json!({
        "big": "x".repeat(10_000),
        "_runtime": {"control": {"paused": true, "pause_reason": "lunch", "paused_at": "t"}},
        "_flow_warnings": ["w", " ", 3],
        "_limits": {"max_tokens": 200, "max_input_tokens": 100, "estimated_tokens_used": 25, "warn_tokens_pct": 80},
        "_meta": {"schedule": {"kind": "scheduled_run", "interval": "1h", "target_flow_id": "f", "secret": 1}},
        "_run_lifecycle": "not an object",
    });
    let run = node
        .store_run(Seed {
            vars,
            wait: Some(wait),
            ..Seed::default()
        })
        .await;
    let summary = node.get(&format!("/api/gateway/runs/{run}")).await.json();
    let keys: Vec<&str> = summary
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "run_id",
            "workflow_id",
            "status",
            "current_node",
            "created_at",
            "updated_at",
            "actor_id",
            "session_id",
            "parent_run_id",
            "error",
            "flow_warnings",
            "paused",
            "pause_reason",
            "paused_at",
            "resumed_at",
            "waiting",
            "is_scheduled",
            "schedule",
            "limits",
            "run_lifecycle",
            "is_draft"
        ]
    );
    assert_eq!(
        (&summary["paused"], &summary["pause_reason"]),
        (&json!(true), &json!("lunch"))
    );
    assert_eq!(summary["flow_warnings"], json!(["w"]));
    let waiting = json!({"reason": "user", "wait_key": "user:r:q", "until": null, "prompt": "who?", "choices": null,
        "allow_free_text": true, "details": null});
    assert_eq!(summary["waiting"], waiting);
    assert_eq!(summary["limits"]["tokens"]["pct"], 0.25);
    assert_eq!(
        (
            &summary["schedule"]["interval"],
            summary["schedule"].get("secret")
        ),
        (&json!("1h"), None)
    );
    assert_eq!(summary["run_lifecycle"], Value::Null);
    let absent = "00000000-0000-4000-8000-000000000001";
    for id in [absent, "no-id", "%00"] {
        let answer = node.get(&format!("/api/gateway/runs/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
    }
}

#[tokio::test]
async fn lists_are_filtered_and_validated() {
    let node = Node::new();
    let root = node
        .store_run(Seed {
            session: Some("s".into()),
            records: 4,
            ..Seed::default()
        })
        .await;
    node.store_run(Seed {
        parent: Some(root),
        status: RunStatus::Completed,
        ..Seed::default()
    })
    .await;
    let list = async |query: &str| node.get(&format!("/api/gateway/runs{query}")).await;
    assert_eq!(list("").await.json()["items"].as_array().map(Vec::len), Some(2));
    let item = list("?root_only=1&include_metrics=yes").await.json()["items"][0].clone();
    assert_eq!(
        (&item["run_id"], &item["ledger_len"], &item["steps"]),
        (&json!(root.to_string()), &json!(4), &Value::Null)
    );
    assert_eq!(item.get("flow_warnings"), None);
    assert_eq!(
        list("?session_id=s&include_ledger_len=0").await.json()["items"][0].get("ledger_len"),
        None
    );
    assert_eq!(
        list("?status=COMPLETED").await.json()["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let bad = list("?status=gone").await.refusal();
    assert_eq!(
        bad,
        (
            400,
            "Invalid status (expected: running|waiting|completed|failed|cancelled)".to_owned()
        )
    );
    let issues = list("?limit=0&root_only=maybe").await;
    assert_eq!(issues.status, 422);
    let expected = json!({"type": "greater_than_equal", "loc": ["query", "limit"],
        "msg": "Input should be greater than or equal to 1", "input": "0", "ctx": {"ge": 1}});
    assert_eq!(issues.json()["detail"][0], expected);
    assert_eq!(issues.json()["detail"][1]["type"], "bool_parsing");
}

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

#[tokio::test]
async fn input_data_without_a_bundle_is_everything_public() {
    let node = Node::new();
    let vars = json!({"b": 1, "a": {"deep": [1.5]}, "_runtime": {}, "workspace_root": "/w", "workspace_access_mode": " "});
    let run = node
        .store_run(Seed {
            vars,
            ..Seed::default()
        })
        .await;
    let answer = node
        .get(&format!("/api/gateway/runs/{run}/input_data"))
        .await
        .json();
    assert_eq!(answer["bundle_id"], "b@1");
    assert_eq!(
        (
            &answer["flow_id"],
            &answer["pin_ids"],
            answer.get("bundle_version")
        ),
        (&json!("f"), &json!([]), None)
    );
    let keys: Vec<&str> = answer["input_data"]
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["b", "a", "workspace_root", "workspace_access_mode"]);
    assert_eq!(answer["workspace"], json!({"workspace_root": "/w"}));
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

#[tokio::test]
async fn drafts_are_purged_by_tree() {
    let node = Node::new();
    let draft = json!({"_run_lifecycle": {"purpose": "draft_test", "retention": {"mode": "ephemeral", "expires_at": "2020-01-01T00:00:00Z"}}});
    let seed = |status, parent| Seed {
        status,
        parent,
        vars: draft.clone(),
        ..Seed::default()
    };
    let expired = node.store_run(seed(RunStatus::Completed, None)).await;
    node.store_run(seed(RunStatus::Completed, Some(expired))).await;
    let active_tree = node.store_run(seed(RunStatus::Failed, None)).await;
    node.store_run(seed(RunStatus::Waiting, Some(active_tree))).await;
    let active = node.store_run(seed(RunStatus::Waiting, None)).await;
    let kept = node
        .store_run(Seed {
            status: RunStatus::Completed,
            ..Seed::default()
        })
        .await;
    let purge = async |body: Value| node.post("/api/gateway/runs/purge_drafts", &body).await;
    let dry = purge(json!({})).await.json();
    assert_eq!(
        (&dry["scanned"], &dry["eligible"], &dry["purged"]),
        (&json!(4), &json!(2), &json!(0))
    );
    assert_eq!(
        node.store
            .run(&node.scope, expired)
            .await
            .expect("read")
            .map(|row| row.head.run_id),
        Some(expired)
    );
    let ids = [expired, active_tree, active, kept].map(|run| run.to_string());
    let real = purge(json!({"dry_run": false, "run_ids": ids})).await.json();
    let reasons: Vec<&Value> = real["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["reason"])
        .collect();
    assert_eq!(
        reasons,
        [
            &Value::Null,
            &json!("active_run_tree"),
            &json!("active_run"),
            &json!("not_ephemeral_draft")
        ]
    );
    assert_eq!((&real["purged"], &real["skipped"]), (&json!(1), &json!(3)));
    assert_eq!(real["items"][0]["purge"]["deleted"]["runs"], 2);
    assert!(
        node.store
            .run(&node.scope, expired)
            .await
            .expect("read")
            .is_none()
    );
    let again = purge(json!({"dry_run": false, "run_ids": [expired.to_string()]}))
        .await
        .json();
    assert_eq!(again["items"][0]["reason"], "missing");
    let strict = purge(json!({"more": 1})).await;
    assert_eq!(
        (strict.status.as_u16(), &strict.json()["detail"][0]["type"]),
        (422, &json!("extra_forbidden"))
    );
}

#[tokio::test]
async fn a_headless_host_opens_no_folder() {
    let node = Node::new();
    let dir = tempfile::tempdir().expect("tempdir");
    let open = async |vars: Value| {
        let run = node
            .store_run(Seed {
                vars,
                ..Seed::default()
            })
            .await;
        node.post(&format!("/api/gateway/runs/{run}/workspace/open"), &json!({}))
            .await
            .refusal()
    };
    let path = dir.path().to_string_lossy().into_owned();
    assert_eq!(
        open(json!({})).await,
        (409, "Run does not have a workspace_root".to_owned())
    );
    assert_eq!(open(json!({"workspace_root": path})).await.0, 501);
    let gone = format!("{path}/gone");
    assert_eq!(
        open(json!({"workspace_root": gone})).await,
        (404, format!("Run workspace does not exist: {gone}"))
    );
}
