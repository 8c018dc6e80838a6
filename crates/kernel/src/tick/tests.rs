//! Kernel spec §1.3, §2 and §3: records, outcomes, keys, crashes.

use std::sync::Arc;

use ag_types::{Effect, EffectKind, RunStatus, Wait, WaitReason};
use serde_json::{Value, json};

use super::{Counts, Outcome, Stepped, Tick, VarChange};
use crate::{
    Exception, HostCall, HostOp, Interrupt, RunAux, StepPlan,
    testkit::{
        Kit, NOW, NOW_TEXT, RUN, Scripted, SeqIds, object, records, rows, run_at, steps, tick_at,
        tick_offloading,
    },
};

const RECORD_KEYS: [&str; 16] = [
    "run_id",
    "step_id",
    "node_id",
    "status",
    "effect",
    "result",
    "error",
    "started_at",
    "ended_at",
    "actor_id",
    "session_id",
    "attempt",
    "idempotency_key",
    "prev_hash",
    "record_hash",
    "signature",
];

fn llm(next: Option<&'static str>) -> Scripted {
    Scripted::default()
        .effect("ll", EffectKind::LlmCall, json!({"prompt": "hi"}), next)
        .end("end")
}

fn done(result: Value) -> Outcome {
    Outcome::Done { result, state: None }
}

/// The same run in the hands of another holder, through storage.
fn reloaded(tick: &Tick) -> Tick {
    let aux = serde_json::to_string(&tick.aux).expect("aux");
    let aux: RunAux = serde_json::from_str(&aux).expect("aux");
    Tick::new(tick.run.clone(), aux, 0, Arc::new(SeqIds::default()))
}

#[test]
fn reports_of_an_open_effect_are_records_of_its_run() {
    let kit = Kit::at(NOW);
    let mut tick = tick_at("ll");
    tick.progress(1, object(json!({"step": 1})), NOW);
    assert!(!tick.has_writes(), "nothing is open");
    steps(&mut tick, &llm(Some("end")), &kit);
    let report = json!({"step": 3, "total_steps": 20, "run_id": "forged"});
    tick.progress(2, object(report), NOW);
    let all = records(&mut tick);
    let (started, record) = (&all[0], &all[1]);
    let payload = &record["effect"]["payload"];
    assert_eq!(
        (
            &record["effect"]["type"],
            &payload["name"],
            &payload["scope"],
            &record["status"]
        ),
        (
            &json!("emit_event"),
            &json!("abstract.progress"),
            &json!("run"),
            &json!("completed")
        )
    );
    assert_eq!(
        payload["payload"],
        json!({"step": 3, "total_steps": 20, "run_id": RUN, "workflow_id": record["effect"]["payload"]["payload"]["workflow_id"],
            "node_id": "ll", "step_id": started["step_id"], "idempotency_key": started["idempotency_key"], "attempt": 1})
    );
    let step = started["step_id"].as_str().expect("id");
    assert_eq!(record["idempotency_key"], format!("system:progress:{step}:2"));
    assert_ne!(record["step_id"], started["step_id"], "a step of its own");
}

#[test]
fn records_have_sixteen_keys_in_the_order_of_the_contract() {
    let flow = Scripted::default()
        .effect("q", EffectKind::AskUser, json!({"prompt": "Q?"}), Some("end"))
        .end("end");
    let kit = Kit::at(NOW);
    let mut tick = tick_at("q");
    steps(&mut tick, &flow, &kit);
    tick.resume(json!({"response": "x"}), None, NOW);
    steps(&mut tick, &flow, &kit);
    let records = records(&mut tick);
    assert_eq!(
        rows(&records),
        [
            "q started ask_user",
            "q waiting ask_user",
            "q completed resume",
            "end completed null",
            "end completed status=completed"
        ]
    );
    for record in &records {
        let keys: Vec<&String> = record.as_object().expect("object").keys().collect();
        assert_eq!(keys, RECORD_KEYS);
        assert_eq!(
            (&record["run_id"], &record["actor_id"], &record["session_id"]),
            (&json!(RUN), &json!("gateway"), &json!("s"))
        );
        assert_eq!(record["attempt"], 1);
        for field in ["prev_hash", "record_hash", "signature", "error"] {
            assert_eq!(record[field], Value::Null, "{field}");
        }
    }
    assert_eq!(
        (&records[0]["ended_at"], &records[1]["ended_at"]),
        (&Value::Null, &json!(NOW_TEXT))
    );
    let effect_keys: Vec<&String> = records[0]["effect"].as_object().expect("effect").keys().collect();
    assert_eq!(effect_keys, ["type", "payload", "result_key"]);
    assert_eq!(
        records[3]["result"],
        json!({"completed": true, "output": {"response": "x"}})
    );
    assert_eq!(records[3]["idempotency_key"], Value::Null);
    let status = &records[4];
    assert_eq!(
        status["effect"].to_string(),
        r#"{"type":"emit_event","payload":{"name":"abstract.status","scope":"session","payload":{"text":"completed"}},"result_key":null}"#
    );
    assert_eq!(
        status["result"].to_string(),
        r#"{"emitted":true,"name":"abstract.status","payload":{"text":"completed"}}"#
    );
    assert_eq!(status["idempotency_key"], "system:terminal_status:completed");
}

/// The examples of kernel spec §2.6.
#[test]
fn rows_of_model_calls() {
    let kit = Kit::at(NOW);
    for (outcome, expected) in [
        (
            done(json!({"content": "x"})),
            [
                "ll started llm_call",
                "ll completed llm_call",
                "end completed null",
                "end completed status=completed",
            ]
            .as_slice(),
        ),
        (
            Outcome::Failed("boom".into()),
            [
                "ll started llm_call",
                "ll failed llm_call",
                "ll completed status=failed",
            ]
            .as_slice(),
        ),
    ] {
        let flow = llm(Some("end"));
        let mut tick = tick_at("ll");
        steps(&mut tick, &flow, &kit);
        tick.apply(outcome, vec![], &kit.env());
        steps(&mut tick, &flow, &kit);
        assert_eq!(rows(&records(&mut tick)), expected);
    }
}

#[test]
fn effects_without_successor_end_the_run_without_a_completion_row() {
    let kit = Kit::at(NOW);
    let mut tick = tick_at("ll");
    steps(&mut tick, &llm(None), &kit);
    assert_eq!(
        tick.apply(done(json!({"content": "x"})), vec![], &kit.env()),
        Stepped::Terminal
    );
    assert_eq!(
        tick.run.output,
        Some(json!({"success": true, "result": {"content": "x"}}))
    );
    assert_eq!(
        rows(&records(&mut tick)),
        [
            "ll started llm_call",
            "ll completed llm_call",
            "ll completed status=completed"
        ]
    );
}

#[test]
fn failed_effects_wrap_their_error_in_the_run_only() {
    let kit = Kit::at(NOW);
    let mut tick = tick_at("ll");
    steps(&mut tick, &llm(Some("end")), &kit);
    tick.mark_called();
    // Attempts after crashes are no tries by policy: the wording stays.
    let mut tick = reloaded(&tick);
    steps(&mut tick, &llm(Some("end")), &kit);
    tick.apply(Outcome::Failed("boom".into()), vec![], &kit.env());
    assert_eq!(
        tick.run.error.as_deref(),
        Some("Effect failed after 1 attempts: boom")
    );
    let records = records(&mut tick);
    assert_eq!(
        (&records[1]["error"], &records[1]["attempt"]),
        (&json!("boom"), &json!(2))
    );
    assert_eq!(steps(&mut tick, &llm(None), &kit), Stepped::Terminal);
}

#[test]
fn exceptions_end_a_run_without_a_status_row() {
    let kit = Kit::at(NOW);
    for (plan, text) in [
        (
            Err(Interrupt::Raise(Exception::value("Division by zero"))),
            "ValueError: Division by zero",
        ),
        (
            Ok(StepPlan::default()),
            "ValueError: Node 'n' returned no effect and no next_node",
        ),
    ] {
        let flow = Scripted::default().node("n", move |_| plan.clone());
        let mut tick = tick_at("n");
        assert_eq!(steps(&mut tick, &flow, &kit), Stepped::Terminal);
        assert_eq!(
            (tick.run.status, tick.run.error.as_deref()),
            (RunStatus::Failed, Some(text))
        );
        let records = records(&mut tick);
        assert_eq!(rows(&records), ["n failed null"]);
        assert_eq!(
            (&records[0]["error"], &records[0]["effect"]),
            (&json!(text), &Value::Null)
        );
        assert_eq!(
            records[0]["idempotency_key"],
            format!("system:tick_exception:{RUN}")
        );
    }
}

#[test]
fn pure_steps_move_the_cursor_and_write_nothing() {
    let flow = Scripted::default().node("a", |_| Ok(StepPlan::goto("b")));
    let mut tick = tick_at("a");
    assert_eq!(
        tick.step(&flow, &Kit::at(NOW).env()).expect("no question"),
        Stepped::Moved
    );
    assert_eq!(tick.run.current_node, "b");
    assert_eq!(
        tick.run.vars["_temp"],
        json!({"prev_node_id": "a", "prev_next_node": "b"})
    );
    assert!(!tick.has_writes());
}

#[test]
fn a_question_to_the_host_changes_nothing() {
    let call = HostCall {
        op: HostOp::RunCode,
        node_id: "n".into(),
        args: json!({}),
    };
    let asked = call.clone();
    let flow = Scripted::default().node("n", move |_| Err(Interrupt::Host(Box::new(asked.clone()))));
    let mut tick = tick_at("n");
    let before = tick.run.clone();
    assert_eq!(*tick.step(&flow, &Kit::at(NOW).env()).expect_err("asks"), call);
    assert_eq!(tick.run, before);
    assert_eq!((tick.aux.clone(), tick.has_writes()), (RunAux::default(), false));
}

#[test]
fn each_visit_of_a_node_has_its_own_key() {
    let flow = Scripted::default()
        .effect("a", EffectKind::AnswerUser, json!({"message": "same"}), Some("b"))
        .effect("b", EffectKind::AnswerUser, json!({"message": "same"}), Some("a"));
    let kit = Kit::at(NOW);
    let mut tick = tick_at("a");
    for _ in 0..6 {
        tick.step(&flow, &kit.env()).expect("no question");
    }
    let started: Vec<(String, String)> = records(&mut tick)
        .iter()
        .filter(|record| record["status"] == "started")
        .map(|record| {
            (
                record["node_id"].to_string(),
                record["idempotency_key"].to_string(),
            )
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = started.iter().collect();
    assert_eq!(
        (started.len(), distinct.len()),
        (6, 6),
        "X1: every visit executes"
    );
    assert_eq!(tick.aux.visits, [("a".to_owned(), 3), ("b".to_owned(), 3)].into());
    let payload = object(json!({"message": "same"}));
    let first = crate::keys::effect_key(RUN.parse().expect("id"), "a", EffectKind::AnswerUser, &payload, 1);
    assert_eq!(
        started[0].1,
        format!("\"{first}\""),
        "the first visit has the key of the reference"
    );
}

#[test]
fn an_effect_cut_by_a_crash_is_a_new_attempt_under_the_same_key() {
    let kit = Kit::at(NOW);
    let flow = llm(Some("end"));
    let mut tick = tick_at("ll");
    steps(&mut tick, &flow, &kit);
    tick.mark_called();
    let first = records(&mut tick).remove(0);
    for attempt in 2..5 {
        tick = reloaded(&tick);
        let Stepped::Effect(request) = steps(&mut tick, &flow, &kit) else {
            panic!("asks again")
        };
        tick.mark_called();
        let records = records(&mut tick);
        assert_eq!(rows(&records), ["ll started llm_call"]);
        assert_eq!(records[0]["attempt"], attempt);
        assert_eq!(records[0]["idempotency_key"], first["idempotency_key"]);
        assert_ne!(records[0]["step_id"], first["step_id"]);
        assert_eq!((request.open.visit, request.open.attempt), (1, attempt));
        let meta = &records[0]["effect"]["payload"]["params"]["trace_metadata"];
        let expected = json!({"step_id": records[0]["step_id"], "effect_idempotency_key": first["idempotency_key"], "attempt": attempt});
        assert_eq!(*meta, expected);
    }
    assert_eq!(tick.aux.visits["ll"], 1, "a new attempt is no new visit");
}

#[test]
fn an_effect_that_was_never_called_goes_on_under_its_record() {
    let kit = Kit::at(NOW);
    let flow = llm(Some("end"));
    let mut tick = tick_at("ll");
    steps(&mut tick, &flow, &kit);
    let first = records(&mut tick).remove(0);
    tick = reloaded(&tick);
    let Stepped::Effect(request) = steps(&mut tick, &flow, &kit) else {
        panic!("asks again")
    };
    assert!(!tick.has_writes(), "no second row");
    assert_eq!(
        (request.open.attempt, json!(request.open.step_id)),
        (1, first["step_id"].clone())
    );
    tick.apply(done(json!({"content": "x"})), vec![], &kit.env());
    assert_eq!(records(&mut tick)[0]["step_id"], first["step_id"]);
}

#[test]
fn results_go_where_the_plan_said_unless_they_are_null() {
    let kit = Kit::at(NOW);
    for (outcome, stored) in [
        (done(json!({"a": 1})), Some(json!({"a": 1}))),
        (
            Outcome::Done {
                result: json!("long"),
                state: Some(json!("short")),
            },
            Some(json!("short")),
        ),
        (done(Value::Null), None),
    ] {
        let mut tick = tick_at("ll");
        steps(&mut tick, &llm(Some("end")), &kit);
        tick.apply(outcome, vec![], &kit.env());
        assert_eq!(tick.run.vars.get("r").cloned(), stored);
    }
}

#[test]
fn handlers_change_variables_through_the_kernel() {
    let mut tick = tick_at("n");
    tick.run = run_at("n", json!({"list": [1], "gone": {"a": 1, "b": 2}, "scalar": 3}));
    tick.change_vars(vec![
        VarChange::Set("deep.er".into(), json!(1)),
        VarChange::Remove("gone.a".into()),
        VarChange::Remove("never.was".into()),
        VarChange::Append("list".into(), vec![json!(2)]),
        VarChange::Append("new.list".into(), vec![json!(1)]),
        VarChange::Append("scalar".into(), vec![json!(4)]),
    ]);
    let expected =
        json!({"list": [1, 2], "gone": {"b": 2}, "scalar": [4], "deep": {"er": 1}, "new": {"list": [1]}});
    assert_eq!(Value::Object(tick.run.vars), expected);
}

#[test]
fn completed_records_are_counted() {
    let kit = Kit::at(NOW);
    let calls = json!({"tool_calls": [{"name": "a"}, {"name": "b"}]});
    let flow = Scripted::default()
        .effect("ll", EffectKind::LlmCall, json!({"prompt": "hi"}), Some("act"))
        .effect("act", EffectKind::ToolCalls, calls, Some("end"))
        .end("end");
    let mut tick = tick_at("ll");
    steps(&mut tick, &flow, &kit);
    tick.apply(
        done(json!({"usage": {"total_tokens": 7, "prompt_tokens": 5}})),
        vec![],
        &kit.env(),
    );
    assert_eq!(tick.run.vars["_limits"], json!({"estimated_tokens_used": 5}));
    steps(&mut tick, &flow, &kit);
    tick.apply(
        done(json!({"mode": "executed", "results": []})),
        vec![],
        &kit.env(),
    );
    steps(&mut tick, &flow, &kit);
    let counts = tick.take_writes().counts;
    assert_eq!(
        counts,
        Counts {
            steps: 4,
            llm_calls: 1,
            tool_calls: 2,
            tokens_total: 7
        }
    );
    assert_eq!(tick.take_writes().counts, Counts::default(), "handed over once");
}

#[test]
fn tool_batches_warn_once_about_their_ids() {
    let kit = Kit::at(NOW);
    let flow = Scripted::default().effect(
        "n",
        EffectKind::ToolCalls,
        json!({"tool_calls": [{"name": "a"}]}),
        Some("n"),
    );
    let mut tick = tick_at("n");
    for _ in 0..2 {
        steps(&mut tick, &flow, &kit);
        tick.apply(done(json!({})), vec![], &kit.env());
    }
    assert_eq!(
        tick.run.vars["_flow_warnings"],
        json!(["#WARN: TOOL_CALLS missing call_id at node 'n' (count=1)"])
    );
    let records = records(&mut tick);
    let id = |record: &Value| record["effect"]["payload"]["tool_calls"][0]["call_id"].clone();
    assert_eq!(
        id(&records[0]),
        format!(
            "rtcall_{}_1",
            records[0]["idempotency_key"].as_str().expect("key")
        )
    );
}

#[test]
fn waiting_effects_keep_their_node_and_their_batch() {
    let kit = Kit::at(NOW);
    for (kind, kept) in [
        (EffectKind::ToolCalls, true),
        (EffectKind::StartSubworkflow, false),
    ] {
        let flow = Scripted::default().effect("n", kind, json!({}), Some("end"));
        let mut tick = tick_at("n");
        steps(&mut tick, &flow, &kit);
        let stepped = tick.apply(
            Outcome::Waiting(Wait::new(WaitReason::Job, Some("j".into()))),
            vec![],
            &kit.env(),
        );
        assert_eq!(stepped, Stepped::Waiting);
        assert_eq!(
            (tick.run.status, tick.run.current_node.as_str()),
            (RunStatus::Waiting, "n")
        );
        assert_eq!(
            (tick.aux.open.is_some(), tick.aux.tool_wait.is_some()),
            (false, kept)
        );
        assert_eq!(steps(&mut tick, &flow, &kit), Stepped::Waiting);
    }
}

#[test]
fn an_end_without_an_open_effect_is_ignored() {
    let mut tick = tick_at("n");
    assert_eq!(
        tick.apply(
            done(json!(1)),
            vec![VarChange::Set("x".into(), json!(1))],
            &Kit::at(NOW).env()
        ),
        Stepped::Moved
    );
    assert!(tick.run.vars.is_empty() && !tick.has_writes());
}

#[test]
fn results_that_could_not_be_read_back_fail_the_effect() {
    let kit = Kit::at(NOW);
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let mut tick = tick_at("ll");
    steps(&mut tick, &llm(Some("end")), &kit);
    tick.apply(done(deep), vec![], &kit.env());
    assert_eq!(
        tick.run.error.as_deref(),
        Some("Effect failed after 1 attempts: llm_call result is nested too deeply")
    );
}

#[test]
fn large_members_leave_the_records() {
    let kit = Kit::at(NOW);
    let medium = "m".repeat(400);
    let payload = json!({"message": "x".repeat(2_000), "level": "message"});
    let many = json!({"message": "m", "a": medium, "b": medium, "c": medium});
    for (payload, path, kind) in [
        (payload, "ledger.effect.payload.message", "text"),
        (many, "ledger.effect.payload", "json"),
    ] {
        let flow = Scripted::default().effect("n", EffectKind::AnswerUser, payload.clone(), Some("end"));
        let mut tick = tick_offloading("n", 1_000);
        tick.step(&flow, &kit.env()).expect("no question");
        let writes = tick.take_writes();
        let first = &writes.offloaded[0];
        assert_eq!(
            (first.source, first.path.as_str(), first.kind),
            ("ledger_effect_offload", path, kind)
        );
        for line in &writes.records {
            assert!(line.len() < 2_000, "{line}");
            let record: Value = serde_json::from_str(line).expect("record");
            assert_eq!(
                record["effect"]["type"], "answer_user",
                "the effect itself keeps its shape"
            );
        }
        assert_eq!(
            tick.run.vars["r"]["message"], payload["message"],
            "the state keeps the value"
        );
    }
}

#[test]
fn a_lost_workflow_fails_the_run_like_an_exception() {
    let kit = Kit::at(NOW);
    let mut tick = tick_at("ll");
    steps(&mut tick, &llm(Some("end")), &kit);
    tick.fail(&Exception::of("KeyError", "gone"), &kit.env());
    assert_eq!(
        (tick.run.error.as_deref(), tick.aux.open.is_none()),
        (Some("KeyError: gone"), true)
    );
    assert_eq!(
        rows(&records(&mut tick)),
        ["ll started llm_call", "ll failed null"]
    );
}

#[test]
fn an_effect_names_its_planned_payload_only_once() {
    let effect = Effect {
        kind: EffectKind::AnswerUser,
        payload: object(json!({"message": "m"})),
        result_key: None,
    };
    let flow = Scripted::default().node("n", move |_| Ok(StepPlan::effect(effect.clone(), None)));
    let mut tick = tick_at("n");
    assert_eq!(steps(&mut tick, &flow, &Kit::at(NOW)), Stepped::Terminal);
    assert_eq!(
        tick.run.output,
        Some(json!({"success": true, "result": {"message": "m", "level": "message"}}))
    );
    assert!(!tick.run.vars.contains_key("r"), "no result key, nothing stored");
}

/// Difference X1: only a result that an import left is taken over, only by the effect it belongs to, and only once.
#[test]
fn a_prior_result_is_taken_over_once_without_a_record() {
    let flow = llm(Some("end"));
    let kit = Kit::at(NOW);
    let key = crate::keys::effect_key(
        tick_at("ll").run.head.run_id,
        "ll",
        EffectKind::LlmCall,
        &object(json!({"prompt": "hi"})),
        1,
    );
    for (prior_key, taken) in [(key.as_str(), true), ("of another payload", false)] {
        let mut tick = tick_at("ll");
        tick.aux.prior = Some(crate::PriorResult {
            node_id: "ll".to_owned(),
            key: prior_key.to_owned(),
            result: json!({"content": "stored"}),
        });
        let first = tick.step(&flow, &kit.env()).expect("no question");
        assert_eq!(matches!(first, Stepped::Moved), taken, "{prior_key}");
        assert_eq!(tick.take_writes().records.is_empty(), taken, "{prior_key}");
        assert_eq!(tick.aux.prior, None);
        assert_eq!(tick.aux.visits["ll"], 1);
    }
}
