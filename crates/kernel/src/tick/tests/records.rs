//! What is recorded, and how it is counted.

use ag_types::EffectKind;
use serde_json::{Value, json};

use super::{Counts, Outcome, Scripted, done, llm};
use crate::testkit::{Kit, NOW, NOW_TEXT, RUN, object, records, rows, steps, tick_at, tick_offloading};

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
