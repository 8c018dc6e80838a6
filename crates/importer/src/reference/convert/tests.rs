use std::path::Path;

use serde_json::json;

use super::*;
use ag_kernel::RunAux;

const RUN: &str = "8d6899dd-0000-4000-8000-000000000001";

fn converted(run: &Value, records: &[Value]) -> (NewRun, RunAux, Remarks) {
    let id: RunId = RUN.parse().expect("id");
    let mut digest = Digest::default();
    for record in records {
        digest.push(&record.to_string());
    }
    let info = RunInfo::for_test("b@1:main");
    let around = Surroundings {
        info: &info,
        executes: Executes::Nothing,
        depth: 2,
        report_traces: false,
        foreign_types: Vec::new(),
        paths: &PathRewrite::new(Path::new("/nowhere"), Path::new("/new")),
    };
    let mut remarks = Remarks::default();
    let run = super::run(id, &run.to_string(), &mut digest, &around, &mut remarks).expect("converts");
    let aux = serde_json::from_str(&run.columns.meta).expect("aux");
    (run, aux, remarks)
}

fn stored(status: &str, waiting: Value) -> Value {
    json!({"run_id": RUN, "workflow_id": "b@1:main", "status": status, "current_node": "ask",
        "vars": {"_runtime": {"node_traces": {"ask": {}}, "model": "m"}, "x": 1}, "waiting": waiting,
        "output": null, "error": null, "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-01T00:00:05+00:00", "actor_id": "gateway", "session_id": "s", "parent_run_id": null})
}

fn record(status: &str, second: u8, kind: &str, result: Value) -> Value {
    let at = format!("2026-01-01T00:00:{second:02}+00:00");
    json!({"run_id": RUN, "step_id": "8d6899dd-0000-4000-8000-0000000000aa", "node_id": "ask", "status": status,
        "effect": {"type": kind, "payload": {"prompt": "?"}, "result_key": "_temp.effects.ask"}, "result": result,
        "error": null, "started_at": at, "ended_at": at, "attempt": 1, "idempotency_key": "k"})
}

fn wait(key: &str, until: Value) -> Value {
    json!({"reason": "user", "wait_key": key, "until": until, "resume_to_node": "end", "result_key": "_temp.effects.ask",
        "prompt": "?", "choices": [], "allow_free_text": true, "details": null})
}

#[test]
fn visits_are_counted_and_traces_dropped() {
    let records = [
        record("started", 1, "ask_user", Value::Null),
        record("waiting", 1, "ask_user", json!({})),
        record("started", 4, "ask_user", Value::Null),
        record("waiting", 4, "ask_user", json!({})),
    ];
    let (run, aux, remarks) = converted(&stored("waiting", wait("user:x", "garbage".into())), &records);
    assert_eq!(aux.visits["ask"], 2);
    assert_eq!(aux.depth, 2);
    assert!(remarks.traces && remarks.garbled_until);
    assert_eq!(&*run.columns.vars, r#"{"_runtime":{"model":"m"},"x":1}"#);
    assert_eq!((run.last_seq, run.columns.wait_until), (4, None));
}

#[test]
fn spans_in_variables_become_rows_of_the_run() {
    let mut run = stored("waiting", wait("user:x", Value::Null));
    let span = json!({"kind": "memory_note", "artifact_id": "ab", "created_at": "2026-01-01T00:00:01+00:00",
        "note_preview": "teal", "tags": {"topic": "colour"}});
    let archived = json!({"kind": "conversation_span", "artifact_id": "cd", "summary_message_id": "msg_1"});
    run["vars"]["_runtime"]["memory_spans"] = json!([span, "no span", archived]);
    run["vars"]["context"] = json!({"messages": [
        {"role": "user", "content": "hello"},
        {"role": "system", "content": "they talked", "metadata": {"message_id": "msg_1"}},
    ]});
    let (run, _, remarks) = converted(&run, &[]);
    assert!(!run.columns.vars.contains("memory_spans"));
    assert_eq!(remarks.spans.len(), 2);
    let body: Value = serde_json::from_str(&remarks.spans[1].body).expect("object");
    assert_eq!(
        body["text"], "they talked",
        "searched for and shown with the span"
    );
    let row = &remarks.spans[0];
    assert_eq!((row.owner_id.as_str(), row.span_id.as_str()), (RUN, "ab"));
    assert_eq!(row.created_at.to_string(), "2026-01-01T00:00:01+00:00");
    let body: Value = serde_json::from_str(&row.body).expect("object");
    assert_eq!(body["record"], span);
}

#[test]
fn a_crash_before_the_end_of_an_effect_plans_the_same_visit_again() {
    let records = [record("started", 6, "llm_call", Value::Null)];
    let (_, aux, _) = converted(&stored("running", Value::Null), &records);
    assert_eq!(aux.visits["ask"], 0);
    assert_eq!(aux.prior, None);
}

#[test]
fn a_result_that_the_state_lacks_is_kept_for_the_next_plan() {
    let records = [
        record("started", 6, "llm_call", Value::Null),
        record("completed", 7, "llm_call", json!({"content": "hi"})),
    ];
    let (_, aux, _) = converted(&stored("running", Value::Null), &records);
    assert_eq!(aux.visits["ask"], 0);
    assert_eq!(
        aux.prior.map(|prior| prior.result),
        Some(json!({"content": "hi"}))
    );
    // Older than the state: the run has come back to this node since.
    let records = [
        record("started", 2, "llm_call", Value::Null),
        record("completed", 3, "llm_call", json!({"content": "hi"})),
    ];
    let (_, aux, _) = converted(&stored("running", Value::Null), &records);
    assert_eq!((aux.visits["ask"], aux.prior), (1, None));
}

#[test]
fn a_wait_that_the_state_lacks_is_adopted() {
    let records = [
        record("started", 6, "ask_user", Value::Null),
        record(
            "waiting",
            7,
            "ask_user",
            json!({"wait": wait("user:y", Value::Null)}),
        ),
    ];
    let (run, aux, _) = converted(&stored("running", Value::Null), &records);
    assert_eq!(run.columns.status, RunStatus::Waiting);
    assert_eq!(run.columns.wait_key.as_deref(), Some("user:y"));
    assert_eq!(aux.visits["ask"], 1);
}

#[test]
fn a_waiting_batch_is_found_again() {
    let batch = json!({"wait": wait("tool_approval:1", Value::Null)});
    let records = [
        record("started", 4, "tool_calls", Value::Null),
        record("waiting", 4, "tool_calls", batch),
    ];
    let (_, aux, _) = converted(&stored("waiting", wait("tool_approval:1", Value::Null)), &records);
    let open = aux.tool_wait.expect("batch");
    assert_eq!(
        (open.key.as_str(), open.next_node.as_deref(), open.visit),
        ("k", Some("end"), 1)
    );
    let (_, aux, _) = converted(&stored("waiting", wait("tool_approval:2", Value::Null)), &records);
    assert_eq!(aux.tool_wait, None);
}
