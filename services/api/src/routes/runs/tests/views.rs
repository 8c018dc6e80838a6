//! Summaries, lists, inputs, and the end of drafts.

use ag_types::{RunStatus, Wait, WaitReason};
use serde_json::{Value, json};

use crate::testkit::{Node, Seed};

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
