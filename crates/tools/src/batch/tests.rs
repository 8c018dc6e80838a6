use super::*;
use crate::workspace::AccessMode;

fn call(id: &str, name: &str, arguments: &Value) -> Value {
    json!({"name": name, "arguments": arguments, "call_id": id, "runtime_call_id": format!("rt_{id}")})
}

fn result(id: &str, name: &str, error: &str) -> Value {
    json!({"call_id": id, "runtime_call_id": format!("rt_{id}"), "name": name, "success": false, "output": null, "error": error})
}

fn scoped() -> (tempfile::TempDir, WorkspacePolicy, String) {
    let dir = tempfile::tempdir().expect("tempdir");
    let policy = WorkspacePolicy::new(dir.path(), AccessMode::WorkspaceOnly, &[], &[]);
    let root = policy.root().display().to_string();
    (dir, policy, root)
}

/// The recorded case: the second of two calls is allowed, the first leaves no arguments behind.
#[test]
fn blocked_calls_leave_no_arguments_and_come_back_in_order() {
    let (_dir, policy, root) = scoped();
    let calls = [
        call("b1", "execute_command", &json!({"command": "id"})),
        call("r1", "read_file", &json!({"file_path": "t.txt"})),
    ];
    let allowed = ["read_file".to_owned()];
    let batch = Batch::split(&calls, Some(&allowed), Some(&policy));
    let blocked = result(
        "b1",
        "execute_command",
        "Tool 'execute_command' is not allowed for this node",
    );
    let rewritten = call("r1", "read_file", &json!({"file_path": format!("{root}/t.txt")}));
    let expected = json!({
        "mode": "delegated",
        "tool_calls": [rewritten],
        "original_call_count": 2,
        "blocked_by_index": {"0": blocked},
        "tool_calls_for_evidence": [call("b1", "execute_command", &json!({})), rewritten],
    });
    assert_eq!(Value::Object(batch.delegated_details()), expected);

    let approval = batch.approval_details(ToolMode::Passthrough, &[]);
    assert_eq!(approval["mode"], "approval_required");
    assert_eq!(
        approval["executor"],
        json!({"kind": "tool_approval", "policy": ToolMode::Passthrough.policy(&[])})
    );

    let outside =
        json!({"call_id": "r1", "name": "read_file", "success": true, "output": "ext", "error": null});
    let merged = merge_waiting(&batch.delegated_details(), vec![outside.clone()]);
    assert_eq!(merged, [blocked.clone(), outside.clone()]);
    assert_eq!(batch.merge(vec![outside.clone()]), [blocked, outside]);
}

#[test]
fn a_clean_batch_has_no_index_keys() {
    let (_dir, policy, root) = scoped();
    let batch = Batch::split(
        &[call(
            "w1",
            "write_file",
            &json!({"content": "x", "file_path": "t.txt"}),
        )],
        None,
        Some(&policy),
    );
    let details = batch.approval_details(ToolMode::Approval, &[]);
    assert_eq!(
        details.keys().collect::<Vec<_>>(),
        ["mode", "tool_calls", "executor"]
    );
    assert_eq!(
        details["tool_calls"][0]["arguments"]["file_path"],
        format!("{root}/t.txt")
    );
    assert_eq!(merge_waiting(&details, vec![json!(1)]), [json!(1)]);
}

#[test]
fn every_reason_to_block_has_its_text() {
    let (_dir, policy, _) = scoped();
    let allowed = ["read_file".to_owned(), "open_attachment".to_owned()];
    let calls = [
        json!("text"),
        json!({"name": " ", "call_id": "n"}),
        call("z", "read_file", &json!({"file_path": "/etc/hostname"})),
        call("o", "open_attachment", &json!({"handle": "@a"})),
    ];
    let mut batch = Batch::split(&calls, Some(&allowed), Some(&policy));
    let errors: Vec<&str> = batch
        .blocked
        .values()
        .filter_map(|blocked| blocked.result.error.as_deref())
        .collect();
    assert_eq!(
        errors,
        [
            "Invalid tool call (expected an object)",
            "Tool call missing a valid name",
            "Path is outside workspace roots: '/etc/hostname'"
        ]
    );
    assert!(batch.pending.is_empty());
    assert_eq!(batch.runtime_owned.keys().collect::<Vec<_>>(), [&3]);
    // An attachment with that handle serves the refused path after all.
    assert_eq!(
        batch.blocked[&2]
            .call
            .as_ref()
            .map(|call| &call.arguments["file_path"]),
        Some(&json!("/etc/hostname"))
    );
    batch.serve(2, json!({"success": true}));
    batch.serve(3, json!({"success": true}));
    let details = batch.delegated_details();
    assert_eq!(
        details["pre_results_by_index"],
        json!({"2": {"success": true}, "3": {"success": true}})
    );
    assert_eq!(
        details["blocked_by_index"]
            .as_object()
            .map(|blocked| blocked.len()),
        Some(2)
    );
    assert_eq!(batch.merge(Vec::new())[3], json!({"success": true}));
}

#[test]
fn without_an_allow_list_an_unknown_tool_is_pending() {
    let batch = Batch::split(&[call("x1", "no_such_tool", &json!({}))], None, None);
    assert_eq!(batch.pending.len(), 1);
    assert!(!batch.is_mixed());
    let empty = Batch::split(&[call("x1", "read_file", &json!({}))], Some(&[]), None);
    assert_eq!(empty.blocked.len(), 1, "an empty allow-list allows nothing");
}

#[test]
fn gaps_are_filled() {
    let details: Object = serde_json::from_value(json!({
        "original_call_count": 3, "blocked_by_index": {"1": {"name": "b"}}, "tool_calls": [{}, {}],
    }))
    .expect("object");
    let merged = merge_waiting(&details, vec![json!("first")]);
    assert_eq!(merged[0], "first");
    assert_eq!(merged[1], json!({"name": "b"}));
    assert_eq!(merged[2]["error"], "Missing tool result");
    assert_eq!(
        merge_waiting(&details, vec![json!(1), json!(2), json!(3)]),
        [json!(1), json!(2), json!(3)]
    );
    let absurd: Object =
        serde_json::from_value(json!({"original_call_count": 1_000_000_000_000_u64})).expect("object");
    assert!(merge_waiting(&absurd, Vec::new()).is_empty());
}

#[test]
fn answers_are_read_by_truth() {
    let cases = [
        (json!({"approved": true}), Answer::Approved),
        (json!({"approved": "yes"}), Answer::Approved),
        (
            json!({"approved": 0}),
            Answer::Denied("Denied by user".to_owned()),
        ),
        (
            json!({"approved": null}),
            Answer::Denied("Denied by user".to_owned()),
        ),
        (
            json!({"approved": false, "reason": "not today"}),
            Answer::Denied("not today".to_owned()),
        ),
        (
            json!({"mode": "executed", "results": [1], "approved": false}),
            Answer::Results(vec![json!(1)]),
        ),
        (json!({"answer": 1}), Answer::Other),
        (json!("yes"), Answer::Other),
    ];
    for (payload, expected) in cases {
        assert_eq!(Answer::read(&payload), expected, "{payload}");
    }
    let stored: Object =
        serde_json::from_value(json!({"tool_calls": [call("w1", "write_file", &json!({}))]}))
            .expect("object");
    assert_eq!(
        denied_results(&waiting_calls(&stored), "not today"),
        [result("w1", "write_file", "not today")]
    );
}
