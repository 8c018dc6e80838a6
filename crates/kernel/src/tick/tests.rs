//! Kernel spec §1.3, §2 and §3: outcomes of steps; records and visits in files of their own.

mod records;
mod visits;

use std::sync::Arc;

use ag_types::{Effect, EffectKind, RunStatus, Wait, WaitReason};
use serde_json::{Value, json};

use super::{Counts, Outcome, Stepped, Tick, VarChange};
use crate::{
    Exception, HostCall, HostOp, Interrupt, RunAux, StepPlan,
    testkit::{Kit, NOW, RUN, Scripted, SeqIds, object, records, rows, run_at, steps, tick_at},
};

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
