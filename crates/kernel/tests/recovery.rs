//! Replay and recovery of generated workflows (invariants I4, I5 and I6).

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::Value;
use support::{
    flow::{Flow, flows},
    world::{CrashAt, Finished, Pause, World},
};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("record")
}

/// A ledger without what depends on ids and times.
fn normalised<'a>(lines: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    let strip = |record: &Value| {
        let mut record = record.clone();
        for field in ["step_id", "started_at", "ended_at", "attempt"] {
            record[field] = Value::Null;
        }
        if let Some(params) = record.pointer_mut("/effect/payload/params") {
            *params = Value::Null;
        }
        record
    };
    lines.into_iter().map(strip).collect()
}

/// Texts of absolute times (due times of waits, grounding) depend on the clock.
fn without_times(values: &[Value]) -> Vec<String> {
    let pattern = |text: String| {
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("1970-01-01") {
            out.push_str(&rest[..at]);
            let tail = &rest[at..];
            let end = tail.find(['"', ']', '\\']).unwrap_or(tail.len());
            rest = &tail[end..];
        }
        out.push_str(rest);
        out
    };
    values.iter().map(|value| pattern(value.to_string())).collect()
}

/// Rows without attempts that a crash cut off: `started` without an end, followed by another one under the same key.
fn without_cut_attempts(lines: &[Value]) -> Vec<&Value> {
    let ended: BTreeSet<String> = lines
        .iter()
        .filter(|row| row["status"] != "started")
        .map(|row| row["step_id"].to_string())
        .collect();
    let again = |at: usize, row: &Value| {
        lines[at + 1..]
            .iter()
            .any(|later| later["status"] == "started" && later["idempotency_key"] == row["idempotency_key"])
    };
    let cut = |at: usize, row: &Value| {
        row["status"] == "started" && !ended.contains(&row["step_id"].to_string()) && again(at, row)
    };
    lines
        .iter()
        .enumerate()
        .filter(|(at, row)| !cut(*at, row))
        .map(|(_, row)| row)
        .collect()
}

/// Keys of effects whose end is in the ledger.
fn ended_keys(lines: &[String]) -> BTreeSet<String> {
    let row = |line: &String| {
        let record = parse(line);
        let ends = record["status"] != "started" && record["effect"]["type"] != "resume";
        ends.then(|| record["idempotency_key"].as_str().map(str::to_owned))
            .flatten()
    };
    lines.iter().filter_map(row).collect()
}

fn check_calls(finished: &Finished, at: &str) -> Result<(), TestCaseError> {
    let mut attempts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for call in &finished.calls {
        attempts.entry(&call.key).or_default().push(call.attempt);
    }
    for (key, attempts) in attempts {
        let known = matches!(attempts.as_slice(), [1] | [2] | [1, 2]);
        prop_assert!(known, "{at}: {key} was called with attempts {attempts:?}");
    }
    Ok(())
}

fn check_crash(flow: &Flow, reference: &Finished, crashed: &Finished, at: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(reference.state(), crashed.state(), "{}", at);
    check_calls(crashed, at)?;
    if let Some((ledger, calls)) = &crashed.crashed {
        prop_assert!(
            crashed.stored.ledger.starts_with(ledger),
            "{}: the committed ledger is a prefix",
            at
        );
        let ended = ended_keys(ledger);
        for call in &crashed.calls[*calls..] {
            prop_assert!(
                !ended.contains(&call.ledger_key),
                "{}: {} was called after its end was committed",
                at,
                call.key
            );
        }
    }
    let rows: Vec<Value> = crashed.stored.ledger.iter().map(|line| parse(line)).collect();
    let expected: Vec<Value> = reference.stored.ledger.iter().map(|line| parse(line)).collect();
    prop_assert_eq!(
        normalised(&expected),
        normalised(without_cut_attempts(&rows)),
        "{}: the same rows besides cut attempts of {:?}",
        at,
        flow
    );
    Ok(())
}

fn pauses() -> impl Strategy<Value = Vec<Pause>> {
    let pause = (1..14_u64, any::<bool>()).prop_map(|(step, during_call)| Pause { step, during_call });
    proptest::collection::vec(pause, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, rng_seed: RngSeed::Fixed(8), failure_persistence: None, ..ProptestConfig::default() })]

    /// Same inputs, same outcomes: the same state and the same ledger, whatever the ids and the clock say.
    #[test]
    fn replay_is_deterministic(flow in flows(), fails in 0..6_u8, pauses in pauses()) {
        let run = |first_id| World::new(&flow, fails, &pauses, first_id).finish();
        let (a, again, b) = (run(1), run(1), run(7_000));
        prop_assert_eq!(&a.stored.ledger, &again.stored.ledger);
        prop_assert_eq!(a.state(), again.state());
        prop_assert_eq!(without_times(&[a.state()]), without_times(&[b.state()]));
        let rows = |finished: &Finished| {
            let rows: Vec<Value> = finished.stored.ledger.iter().map(|line| parse(line)).collect();
            let mut rows = normalised(&rows);
            for row in &mut rows {
                // The payload of a timer holds its due time, so its key does too.
                if row.pointer("/effect/type").and_then(Value::as_str) == Some("wait_until") {
                    row["idempotency_key"] = Value::Null;
                }
            }
            without_times(&rows)
        };
        prop_assert_eq!(rows(&a), rows(&b));
        check_calls(&a, "no crash")?;
        prop_assert!(a.calls.iter().all(|call| call.attempt == 1), "without a crash there is one attempt");
    }

    /// A crash at any commit, before or after it, leads to the same end.
    #[test]
    fn every_crash_point_recovers(flow in flows(), fails in 0..6_u8, pauses in pauses()) {
        let world = || World::new(&flow, fails, &pauses, 1);
        let reference = world().finish();
        for commit in 0..reference.commits {
            for applied in [false, true] {
                let crashed = world().crashing(CrashAt { commit, applied }).finish();
                check_crash(&flow, &reference, &crashed, &format!("commit {commit}, applied {applied}"))?;
            }
        }
    }
}
