//! Kernel spec §4.3: what a resume stores, records and leads to.

use ag_types::{EffectKind, RunStatus, Wait, WaitReason};
use serde_json::{Value, json};

use super::{Refusal, tool_envelope};
use crate::{
    Outcome, Tick,
    testkit::{Kit, NOW, Scripted, object, records, rows, steps, tick_at, tick_offloading},
};

fn resting(mut tick: Tick, wait: Wait) -> Tick {
    tick.run.status = RunStatus::Waiting;
    tick.run.waiting = Some(wait);
    tick
}

fn wait(reason: WaitReason, key: Option<&str>, result_key: Option<&str>) -> Wait {
    let mut wait = Wait::new(reason, key.map(str::to_owned));
    wait.resume_to_node = Some("next".into());
    wait.result_key = result_key.map(str::to_owned);
    wait
}

#[test]
fn refusals_name_their_reason() {
    let asked = || resting(tick_at("n"), wait(WaitReason::User, Some("k"), None));
    let timed = || resting(tick_at("n"), wait(WaitReason::Until, None, None));
    let mut ended = asked();
    ended.run.status = RunStatus::Completed;
    for (what, tick, key, expected) in [
        ("running", tick_at("n"), None, Some("Run is not waiting")),
        ("ended", ended, None, Some("Run is not waiting")),
        (
            "other key",
            asked(),
            Some("x"),
            Some("wait_key mismatch: expected 'k', got 'x'"),
        ),
        ("same key", asked(), Some("k"), None),
        ("no key", asked(), None, None),
        ("a wait without key", timed(), Some("x"), None),
    ] {
        let found = tick
            .resumable(key)
            .err()
            .map(|refusal: Refusal| refusal.to_string());
        assert_eq!(found.as_deref(), expected, "{what}");
    }
}

#[test]
fn an_answer_is_stored_recorded_and_followed() {
    for (result_key, stored) in [
        (Some("a.b"), json!({"a": {"b": {"response": "Ada"}}})),
        (None, json!({})),
    ] {
        let mut tick = resting(tick_at("n"), wait(WaitReason::User, Some("k"), result_key));
        tick.resume(json!({"response": "Ada"}), None, NOW);
        assert_eq!(Value::Object(tick.run.vars.clone()), stored);
        assert_eq!(
            (tick.run.status, tick.run.current_node.as_str()),
            (RunStatus::Running, "next")
        );
        let records = records(&mut tick);
        assert_eq!(rows(&records), ["n completed resume"]);
        let effect = json!({"type": "resume", "result_key": null, "payload": {
            "wait_reason": "user", "wait_key": "k", "resume_to_node": "next", "result_key": result_key,
            "payload": {"response": "Ada"}}});
        assert_eq!(records[0]["effect"], effect);
        let keys: Vec<_> = records[0]["effect"]["payload"]
            .as_object()
            .expect("payload")
            .keys()
            .collect();
        assert_eq!(
            keys,
            [
                "wait_reason",
                "wait_key",
                "resume_to_node",
                "result_key",
                "payload"
            ]
        );
        assert_eq!(
            (&records[0]["result"], &records[0]["idempotency_key"]),
            (&json!({"resumed": true}), &Value::Null)
        );
    }
}

#[test]
fn without_a_successor_the_payload_is_the_output() {
    let mut waits = wait(WaitReason::Event, Some("e"), Some("r"));
    waits.resume_to_node = None;
    let mut tick = resting(tick_at("n"), waits);
    tick.resume(json!({"v": 1}), None, NOW);
    assert_eq!(tick.run.status, RunStatus::Completed);
    assert_eq!(
        tick.run.output,
        Some(json!({"success": true, "result": {"v": 1}}))
    );
    let records = records(&mut tick);
    assert_eq!(
        rows(&records),
        [
            "n completed resume",
            "n completed null",
            "n completed status=completed"
        ]
    );
    let result = r#"{"completed":true,"via":"resume","wait_reason":"event","wait_key":"e","output":{"success":true,"result":{"v":1}}}"#;
    assert_eq!(records[1]["result"].to_string(), result);
}

#[test]
fn a_resume_of_nothing_changes_nothing() {
    let mut tick = tick_at("n");
    tick.resume(json!({}), None, NOW);
    assert_eq!((tick.run.status, tick.has_writes()), (RunStatus::Running, false));
}

#[test]
fn children_are_recognised_by_details_or_key() {
    let id = crate::testkit::RUN;
    let child = id.parse().expect("id");
    let mut by_details = wait(WaitReason::Subworkflow, Some("mine"), None);
    by_details.details = Some(json!({"sub_run_id": id}));
    let by_key = wait(WaitReason::Subworkflow, Some(&format!("subworkflow:{id}")), None);
    let other = wait(WaitReason::Subworkflow, Some("subworkflow:x"), None);
    let event = wait(WaitReason::Event, Some(&format!("subworkflow:{id}")), None);
    for (wait, expected) in [(by_details, true), (by_key, true), (other, false), (event, false)] {
        assert_eq!(
            resting(tick_at("n"), wait.clone()).waits_for_child(child),
            expected,
            "{wait:?}"
        );
    }
    assert!(!tick_at("n").waits_for_child(child));
}

#[test]
fn ends_of_children_become_tool_results_where_asked() {
    let long = "x".repeat(4_001);
    let ok = |output: Value, error: Value, success: bool| {
        json!({"mode": "executed", "results": [
            {"call_id": "c1", "name": "research", "success": success, "output": output, "error": error}]})
    };
    let details = json!({"wrap_as_tool_result": true, "tool_name": "research", "call_id": "c1"});
    for (output, expected) in [
        (
            json!({"answer": "42", "report": "r"}),
            ok(
                json!({"rendered": "42", "answer": "42", "sub_run_id": "s", "report": "r"}),
                Value::Null,
                true,
            ),
        ),
        (
            json!({"answer": "42", "report": long}),
            ok(
                json!({"rendered": "42", "answer": "42", "sub_run_id": "s"}),
                Value::Null,
                true,
            ),
        ),
        (
            json!({"x": "é"}),
            ok(
                json!({"rendered": "{\"x\": \"é\"}", "answer": "{\"x\": \"é\"}", "sub_run_id": "s"}),
                Value::Null,
                true,
            ),
        ),
        (
            json!({"success": false, "error": "boom"}),
            ok(Value::Null, json!("boom"), false),
        ),
        (
            json!({"success": false, "error": ""}),
            ok(Value::Null, json!("Subworkflow failed"), false),
        ),
        (
            json!({"success": false}),
            ok(Value::Null, json!("Subworkflow failed"), false),
        ),
    ] {
        let mut waits = wait(WaitReason::Subworkflow, Some("subworkflow:s"), Some("r"));
        waits.details = Some(details.clone());
        let mut tick = resting(tick_at("n"), waits);
        tick.resume(json!({"sub_run_id": "s", "output": output}), None, NOW);
        assert_eq!(tick.run.vars["r"], expected, "{output}");
        assert_eq!(records(&mut tick)[0]["effect"]["payload"]["payload"], expected);
    }
    let bare = tool_envelope(&object(json!({})), &json!({"output": {"answer": "a"}}));
    assert_eq!(
        (&bare["results"][0]["call_id"], &bare["results"][0]["name"]),
        (&json!("subworkflow"), &json!("start_subworkflow"))
    );

    let envelope = json!({"mode": "executed", "results": []});
    let mut waits = wait(WaitReason::Subworkflow, None, Some("r"));
    waits.details = Some(details);
    let mut tick = resting(tick_at("n"), waits);
    tick.resume(envelope.clone(), None, NOW);
    assert_eq!(tick.run.vars["r"], envelope, "an envelope is not wrapped again");
    let mut plain = resting(tick_at("n"), wait(WaitReason::Subworkflow, None, Some("r")));
    plain.resume(json!({"sub_run_id": "s", "output": {}}), None, NOW);
    assert_eq!(
        plain.run.vars["r"],
        json!({"sub_run_id": "s", "output": {}}),
        "only where asked"
    );
}

/// A run that rests on an approval of two calls.
fn approval() -> Tick {
    let payload = json!({"tool_calls": [{"name": "a", "call_id": "1"}, {"name": "b", "call_id": "2"}]});
    let flow = Scripted::default().effect("act", EffectKind::ToolCalls, payload, Some("end"));
    let kit = Kit::at(NOW);
    let mut tick = tick_at("act");
    steps(&mut tick, &flow, &kit);
    let mut waits = wait(WaitReason::User, Some("tool_approval:1"), Some("r"));
    waits.details = Some(json!({"mode": "approval_required"}));
    tick.apply(Outcome::Waiting(waits), vec![], &kit.env());
    tick
}

#[test]
fn a_tool_batch_that_waited_gets_its_completed_record() {
    let mut tick = approval();
    let stored = json!({"mode": "executed", "results": [1, 2]});
    tick.resume(stored.clone(), Some(json!("short")), NOW);
    let counts = {
        let writes = tick.take_writes();
        let records: Vec<Value> = writes
            .records
            .iter()
            .map(|line| serde_json::from_str(line).expect("record"))
            .collect();
        assert_eq!(
            rows(&records),
            [
                "act started tool_calls",
                "act waiting tool_calls",
                "act completed tool_calls",
                "act completed resume"
            ]
        );
        for field in ["effect", "idempotency_key", "attempt", "step_id", "started_at"] {
            assert_eq!(records[0][field], records[2][field], "{field}");
        }
        assert_eq!(records[2]["result"], stored);
        writes.counts
    };
    assert_eq!((counts.tool_calls, counts.steps), (2, 2));
    assert_eq!(
        tick.run.vars["r"], "short",
        "the state keeps the short form, the ledger the long one"
    );
    assert!(tick.aux.tool_wait.is_none());
}

#[test]
fn an_approved_batch_ends_like_a_resume_and_then_pauses_if_asked() {
    for pause in [None, Some(None), Some(Some("lunch".to_owned()))] {
        let mut tick = approval();
        tick.take_writes();
        tick.begin_batch(json!({"approved": true}));
        assert_eq!(tick.run.status, RunStatus::Running);
        assert_eq!(
            tick.resumable(None).unwrap_err(),
            Refusal::NotWaiting,
            "a second approval finds no wait"
        );
        tick.aux.batch.as_mut().expect("batch").pause = pause.clone();
        tick.finish_batch(json!({"mode": "executed", "results": []}), None, NOW);
        assert_eq!(
            rows(&records(&mut tick)),
            ["act completed tool_calls", "act completed resume"]
        );
        assert_eq!(
            (tick.run.current_node.as_str(), tick.run.is_paused()),
            ("next", pause.is_some())
        );
        assert!(tick.aux.batch.is_none() && tick.aux.tool_wait.is_none());
    }
    let mut tick = tick_at("n");
    tick.finish_batch(json!({}), None, NOW);
    assert!(!tick.has_writes(), "without a batch nothing happens");
}

#[test]
fn large_answers_leave_the_record_and_stay_in_the_state() {
    let mut tick = resting(
        tick_offloading("n", 600),
        wait(WaitReason::User, Some("k"), Some("r")),
    );
    let payload = json!({"response": "x".repeat(700), "ok": true});
    tick.resume(payload.clone(), None, NOW);
    assert_eq!(tick.run.vars["r"], payload);
    let writes = tick.take_writes();
    let [value] = writes.offloaded.as_slice() else {
        panic!("one value: {:?}", writes.offloaded)
    };
    assert_eq!(
        (value.source, value.path.as_str(), value.kind),
        ("resume", "resume.payload.response", "text")
    );
    let record: Value = serde_json::from_str(&writes.records[0]).expect("record");
    assert_eq!(
        record["effect"]["payload"]["payload"],
        json!({"response": {"$artifact": value.artifact_id}, "ok": true})
    );
}
