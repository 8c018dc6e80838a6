//! Visits, attempts and their keys.

use ag_types::EffectKind;
use serde_json::json;

use super::{Scripted, Stepped, done, llm, reloaded};
use crate::testkit::{Kit, NOW, RUN, object, records, rows, steps, tick_at};

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
