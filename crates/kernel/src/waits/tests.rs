//! Kernel spec §8.1–§8.3: texts of failures, built keys, waits.

use ag_types::{Effect, EffectKind, RunStatus};
use serde_json::{Value, json};

use crate::{
    StepPlan, Stepped, Tick,
    testkit::{Kit, NOW, NOW_TEXT, RUN, Scripted, object, records, rows, steps, tick_at},
};

/// Performs one effect at node `n`, whose successor is `end`.
fn perform(kind: EffectKind, payload: Value) -> Tick {
    let flow = Scripted::default()
        .node("n", move |_| {
            let effect = Effect {
                kind,
                payload: object(payload.clone()),
                result_key: Some("r".into()),
            };
            Ok(StepPlan::effect(effect, Some("end".into())))
        })
        .end("end");
    let mut tick = tick_at("n");
    steps(&mut tick, &flow, &Kit::at(NOW));
    tick
}

#[test]
fn failures_have_the_texts_of_the_contract() {
    use EffectKind::{AnswerUser, AskUser, WaitEvent, WaitUntil};
    for (kind, payload, text) in [
        (
            WaitEvent,
            json!({}),
            "wait_event requires payload.wait_key or payload.name",
        ),
        (
            WaitEvent,
            json!({"name": null}),
            "wait_event requires payload.wait_key or payload.name",
        ),
        (
            WaitEvent,
            json!({"name": "  "}),
            "wait_event invalid payload: event name is required",
        ),
        (
            WaitEvent,
            json!({"name": "e", "scope": "moon"}),
            "wait_event invalid payload: unknown event scope: 'moon'",
        ),
        (
            WaitUntil,
            json!({}),
            "wait_until requires payload.until (ISO timestamp)",
        ),
        (
            WaitUntil,
            json!({"until": ""}),
            "wait_until requires payload.until (ISO timestamp)",
        ),
        (
            WaitUntil,
            json!({"until": "garbage"}),
            "wait_until: not an ISO timestamp: 'garbage'",
        ),
        (AskUser, json!({}), "ask_user requires payload.prompt"),
        (
            AskUser,
            json!({"prompt": " "}),
            "ask_user requires payload.prompt",
        ),
        (AnswerUser, json!({}), "answer_user requires payload.message"),
        (
            AnswerUser,
            json!({"message": null}),
            "answer_user requires payload.message",
        ),
    ] {
        let mut tick = perform(kind, payload.clone());
        assert_eq!(tick.run.status, RunStatus::Failed, "{payload}");
        let wrapped = format!("Effect failed after 1 attempts: {text}");
        assert_eq!(tick.run.error.as_deref(), Some(wrapped.as_str()), "{payload}");
        let records = records(&mut tick);
        let name = kind.as_str();
        let expected = [
            format!("n started {name}"),
            format!("n failed {name}"),
            "n completed status=failed".into(),
        ];
        assert_eq!(rows(&records), expected);
        assert_eq!(
            (&records[1]["error"], &records[1]["result"]),
            (&json!(text), &Value::Null),
            "the bare text"
        );
    }
}

#[test]
fn event_keys_are_built_from_scope_and_name() {
    for (payload, key) in [
        (json!({"wait_key": "k", "name": "n"}), "k".to_owned()),
        (json!({"name": "e"}), "evt:session:s:e".to_owned()),
        (
            json!({"name": " e ", "scope": " Session "}),
            "evt:session:s:e".to_owned(),
        ),
        (
            json!({"name": "e", "session_id": "other"}),
            "evt:session:other:e".to_owned(),
        ),
        (
            json!({"name": "e", "scope": "workflow"}),
            "evt:workflow:demo@0.1.0:root:e".to_owned(),
        ),
        (
            json!({"name": "e", "scope": "workflow", "workflow_id": "w"}),
            "evt:workflow:w:e".to_owned(),
        ),
        (json!({"name": "e", "scope": "run"}), format!("evt:run:{RUN}:e")),
        (
            json!({"name": "e", "scope": "global"}),
            "evt:global:global:e".to_owned(),
        ),
        (json!({"name": "*"}), "evt:session:s:*".to_owned()),
    ] {
        let tick = perform(EffectKind::WaitEvent, payload.clone());
        let wait = tick.run.waiting.expect("waits");
        assert_eq!(wait.wait_key.as_deref(), Some(key.as_str()), "{payload}");
        assert_eq!(
            (wait.resume_to_node.as_deref(), wait.result_key.as_deref()),
            (Some("end"), Some("r"))
        );
    }
    let mut tick = tick_at("n");
    tick.run.head.session_id = None;
    let key = super::event_key(&object(json!({"name": "e"})), &tick.run);
    assert_eq!(
        key,
        Ok(format!("evt:session:{RUN}:e")),
        "without a session the run is its own"
    );
}

#[test]
fn questions_rest_with_all_nine_keys() {
    let mut tick = perform(
        EffectKind::AskUser,
        json!({"prompt": "Q?", "choices": ["a"], "allow_free_text": false, "resume_to_node": "z"}),
    );
    let wait = serde_json::to_string(&tick.run.waiting).expect("wait");
    let expected = format!(
        r#"{{"reason":"user","wait_key":"user:{RUN}:n","until":null,"resume_to_node":"z","result_key":"r","prompt":"Q?","choices":["a"],"allow_free_text":false,"details":null}}"#
    );
    assert_eq!(wait, expected);
    assert_eq!(
        (tick.run.status, tick.run.current_node.as_str()),
        (RunStatus::Waiting, "n")
    );
    let records = records(&mut tick);
    assert_eq!(rows(&records), ["n started ask_user", "n waiting ask_user"]);
    assert_eq!(
        records[1]["result"]["wait"],
        serde_json::from_str::<Value>(&expected).expect("json")
    );
    assert_eq!(
        records[0]["step_id"], records[1]["step_id"],
        "both rows share their step"
    );
    assert_eq!(records[0]["started_at"], records[1]["started_at"]);
    assert_eq!(
        tick.run.vars["_temp"],
        json!({"prev_node_id": "n", "prev_next_node": "end"})
    );
    assert!(tick.run.waiting.as_ref().is_some_and(|wait| !wait.is_pause()));
    let given = perform(EffectKind::AskUser, json!({"prompt": "Q?", "wait_key": "mine"}));
    assert_eq!(
        given.run.waiting.and_then(|wait| wait.wait_key).as_deref(),
        Some("mine")
    );
}

#[test]
fn answers_normalise_their_level() {
    for (payload, result) in [
        (
            json!({"message": "m"}),
            json!({"message": "m", "level": "message"}),
        ),
        (
            json!({"text": "t", "level": "WARN"}),
            json!({"message": "t", "level": "warning"}),
        ),
        (
            json!({"content": 1.0, "level": "info"}),
            json!({"message": "1.0", "level": "message"}),
        ),
        (
            json!({"message": "", "level": "error"}),
            json!({"message": "", "level": "error"}),
        ),
        (
            json!({"message": null, "text": true, "level": 3}),
            json!({"message": "True", "level": "message"}),
        ),
    ] {
        let mut tick = perform(EffectKind::AnswerUser, payload.clone());
        let records = records(&mut tick);
        assert_eq!(records[1]["result"], result, "{payload}");
        assert_eq!(tick.run.vars["r"], result);
        assert_eq!(tick.run.status, RunStatus::Completed);
    }
}

#[test]
fn times_that_have_passed_do_not_wait() {
    for (until, waits) in [
        ("2020-01-01T00:00:00Z", false),
        (NOW_TEXT, false),
        ("2026-11-20T11:32:02.790002+00:00", true),
    ] {
        let mut tick = perform(EffectKind::WaitUntil, json!({"until": until}));
        assert_eq!(tick.run.status == RunStatus::Waiting, waits, "{until}");
        let records = records(&mut tick);
        if waits {
            let wait = tick.run.waiting.as_ref().expect("wait");
            assert_eq!(
                (wait.wait_key.as_deref(), wait.until),
                (None, Some(NOW.plus_micros(1)))
            );
        } else {
            assert_eq!(records[1]["result"], json!({"until": until, "ready": true}));
        }
    }
}

#[test]
fn a_due_wait_wakes_without_a_record_or_a_result() {
    let due = NOW.plus_micros(1);
    let mut tick = perform(EffectKind::WaitUntil, json!({"until": due.to_string()}));
    tick.take_writes();
    assert!(!tick.wake_if_due(NOW), "not yet");
    assert_eq!(
        tick.step(&Scripted::default(), &Kit::at(NOW).env())
            .expect("no question"),
        Stepped::Waiting
    );
    assert!(tick.wake_if_due(due));
    assert_eq!(
        (tick.run.status, tick.run.current_node.as_str()),
        (RunStatus::Running, "end")
    );
    assert!(!tick.has_writes() && !tick.run.vars.contains_key("r"));
    assert!(!tick.wake_if_due(due), "once");
    let asked = &mut perform(EffectKind::AskUser, json!({"prompt": "Q?"}));
    assert!(!asked.wake_if_due(due), "only time waits wake by themselves");
}

#[test]
fn a_due_wait_without_successor_ends_the_run() {
    let due = NOW.plus_micros(1);
    let mut tick = perform(EffectKind::WaitUntil, json!({"until": due.to_string()}));
    tick.take_writes();
    tick.run.waiting.as_mut().expect("wait").resume_to_node = None;
    assert!(tick.wake_if_due(due));
    assert_eq!(tick.run.output, Some(json!({"success": true, "result": null})));
    assert_eq!(rows(&records(&mut tick)), ["n completed status=completed"]);
}
