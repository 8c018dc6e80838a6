//! Batches that wait, and the answers to them.

use super::*;

#[tokio::test]
async fn the_mode_decides_over_the_whole_batch() {
    let bench = Bench::new();
    let read = call("r", "list_files", json!({}));
    let modes = [
        ToolMode::Approval,
        ToolMode::Passthrough,
        ToolMode::Delegated,
        ToolMode::Local,
    ];
    for (calls, expected) in [
        (json!([]), ["done", "done", "done", "done"]),
        (json!([read]), ["done", "user", "job", "done"]),
        (
            json!([read, call("x", "no_such_tool", json!({}))]),
            ["user", "user", "job", "done"],
        ),
    ] {
        for (mode, expected) in modes.into_iter().zip(expected) {
            let answer = bench.handle(mode, json!({"tool_calls": calls})).await;
            let found = match answer.outcome {
                Outcome::Done { .. } => "done",
                Outcome::Waiting(wait) => wait.reason.as_str(),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{mode:?} {calls}");
        }
    }
    let unknown = bench
        .results(ToolMode::Local, json!([call("x", "no_such_tool", json!({}))]))
        .await;
    assert_eq!(
        unknown,
        [failure("x", "no_such_tool", "Tool 'no_such_tool' not found")]
    );
}

#[tokio::test]
async fn an_approval_runs_the_stored_calls() {
    let bench = Bench::new();
    let payload = json!({"tool_calls": [write("w1")], "resume_to_node": "end"});
    let (wait, _) = bench.wait(ToolMode::Approval, payload).await;
    let path = bench.root().join("o.txt");
    let stored = call("w1", "write_file", json!({"file_path": path, "content": "w1"}));
    assert_eq!(
        wait.details,
        Some(json!({"mode": "approval_required", "tool_calls": [stored],
            "executor": {"kind": "tool_approval", "policy": ToolMode::Approval.policy(&[])}}))
    );
    assert_eq!(
        (wait.reason, wait.resume_to_node.as_deref()),
        (WaitReason::User, Some("end"))
    );
    let key = wait.wait_key.clone().expect("key");
    assert!(
        key.strip_prefix("tool_approval:")
            .is_some_and(|hex| hex.len() == 32 && hex::decode(hex).is_ok()),
        "{key}"
    );
    assert!(!bench.root().exists(), "the directory is made at first use");
    let effect = bench.effect(ToolMode::Approval);
    assert_eq!(effect.settle(&wait, &json!({"approved": "yes"})), None);
    let done = bench.approve(wait, json!({"approved": true})).await;
    let output = format!(
        "✅ Successfully written to '{}' (2 bytes, 1 lines)",
        path.display()
    );
    assert_eq!(
        done.stored,
        json!({"mode": "executed", "results": [{"call_id": "w1", "runtime_call_id": "rt_w1", "name": "write_file",
            "success": true, "output": output, "error": null}]})
    );
    assert_eq!((done.state, done.changes.len()), (None, 0));
    assert_eq!(std::fs::read_to_string(path).expect("written"), "w1");
}

#[tokio::test]
async fn other_answers_run_nothing() {
    let bench = Bench::new();
    let (wait, _) = bench
        .wait(ToolMode::Approval, json!({"tool_calls": [write("w1")]}))
        .await;
    let effect = bench.effect(ToolMode::Approval);
    let given = json!({"mode": "executed", "results": [{"call_id": "w1", "name": "write_file", "success": true, "output": "done elsewhere", "error": null}]});
    for (payload, expected) in [
        (
            json!({"approved": false}),
            json!({"mode": "executed", "results": [failure("w1", "write_file", "Denied by user")]}),
        ),
        (
            json!({"approved": null, "reason": "no"}),
            json!({"mode": "executed", "results": [failure("w1", "write_file", "no")]}),
        ),
        (given.clone(), given),
        (json!({"note": 1}), json!({"note": 1})),
    ] {
        assert_eq!(effect.settle(&wait, &payload), Some(expected), "{payload}");
    }
    let (wait, _) = bench
        .wait(ToolMode::Delegated, json!({"tool_calls": [write("w1")]}))
        .await;
    let approval = json!({"approved": true});
    assert_eq!(
        effect.settle(&wait, &approval),
        Some(approval),
        "nobody asked for an approval"
    );
    assert!(!bench.root().exists());
}

/// The recorded case of a delegated batch with a refused call.
#[tokio::test]
async fn outside_results_are_merged_and_refused_calls_become_evidence() {
    let bench = Bench::new();
    let calls = json!([
        call("b1", "execute_command", json!({"command": "id"})),
        call("r1", "read_file", json!({"file_path": "t.txt"}))
    ]);
    let payload = json!({"tool_calls": calls, "allowed_tools": ["read_file"]});
    let (wait, _) = bench.wait(ToolMode::Delegated, payload).await;
    let run = bench.world.run.head.run_id;
    assert_eq!(
        (wait.reason, wait.wait_key.clone()),
        (WaitReason::Job, Some(format!("tool_calls:{run}:llm")))
    );
    let refused = failure(
        "b1",
        "execute_command",
        "Tool 'execute_command' is not allowed for this node",
    );
    let stored = call(
        "r1",
        "read_file",
        json!({"file_path": bench.root().join("t.txt")}),
    );
    assert_eq!(
        wait.details,
        Some(
            json!({"mode": "delegated", "tool_calls": [stored], "original_call_count": 2,
            "blocked_by_index": {"0": refused},
            "tool_calls_for_evidence": [call("b1", "execute_command", json!({})), stored]})
        )
    );
    let outside =
        json!({"call_id": "r1", "name": "read_file", "success": true, "output": "ext", "error": null});
    let payload = json!({"mode": "executed", "results": [outside]});
    assert_eq!(
        bench.effect(ToolMode::Delegated).settle(&wait, &payload),
        None,
        "evidence must be stored first"
    );
    let done = bench.approve(wait, payload).await;
    assert_eq!(
        done.stored,
        json!({"mode": "executed", "results": [refused, outside]})
    );
    let state = done.state.expect("state");
    assert_eq!(
        state["results"][0]["meta"]["evidence_id"].as_str().map(str::len),
        Some(32)
    );
    assert_eq!(state["results"][1], outside);
    assert_eq!((done.artifacts.len(), done.memory.len()), (1, 1));
}

#[tokio::test]
async fn attachments_are_opened_before_the_wait() {
    let bench = Bench::new();
    let tags = [
        ("kind", "attachment"),
        ("path", "in/pic.png"),
        ("filename", "pic.png"),
    ];
    let id = bench
        .world
        .artifact("image/png", &tags, b"\x89PNG", "session_memory_s1")
        .await;
    let calls = json!([
        call("o", "open_attachment", json!({"handle": "pic.png"})),
        write("w1"),
        call("m", "open_attachment", json!({"handle": "nope"}))
    ]);
    let (wait, answer) = bench.wait(ToolMode::Approval, json!({"tool_calls": calls})).await;
    let details = wait.details.clone().expect("details");
    let opened = &details["pre_results_by_index"]["0"];
    assert_eq!(
        (&opened["success"], &opened["output"]["artifact_id"]),
        (&json!(true), &json!(id))
    );
    assert_eq!(
        details["pre_results_by_index"]["2"]["error"],
        "attachment not found"
    );
    assert!(details["pre_results_by_index"]["2"]["output"]["rendered"].is_string());
    let item = json!({"$artifact": id, "filename": "pic.png", "source_path": "in/pic.png", "content_type": "image/png"});
    assert_eq!(
        answer.changes,
        [VarChange::Append("_runtime.pending_media".into(), vec![item])]
    );
    let denied = bench
        .effect(ToolMode::Approval)
        .settle(&wait, &json!({"approved": false}))
        .expect("stored");
    assert_eq!(denied["results"].as_array().map(Vec::len), Some(3));
    assert_eq!(denied["results"][1]["error"], "Denied by user");
}
