//! The checker: what the clients were told against what the gateway holds.

use anyhow::Result;
use futures::StreamExt as _;
use serde_json::Value;

use crate::{
    Api, FakeUpstream, Reply,
    report::{Report, rounded},
    upstream::Call,
};

use super::{
    flows::{self, CALLS, Golden, Kind},
    tend,
    workload::{Run, Workload},
};

/// Runs whose evidence is collected at a time.
const AT_A_TIME: usize = 8;

/// What the gateway says about a run at the end.
struct Evidence {
    run: Run,
    records: Result<Vec<Value>>,
    /// Of a parent: number of runs in its tree, and the records of its child.
    family: Option<(usize, Result<Vec<Value>>)>,
    /// Acknowledged commands sent again: number then, answer now.
    again: Vec<(String, u64, Reply)>,
}

/// Asks the nodes in turn.
pub(crate) async fn everything(
    workload: &Workload,
    nodes: &[Api],
    upstream: &FakeUpstream,
    golden: &Golden,
    report: &mut Report,
) -> Result<()> {
    let calls = upstream.journal()?;
    let faults = report.faults();
    let runs = workload.lock().runs.clone();
    let accepted = runs.len();
    let mut totals = Totals::default();
    let mut found = futures::stream::iter(runs.into_iter().zip(nodes.iter().cycle()))
        .map(|(run, api)| collect(run, api))
        .buffered(AT_A_TIME)
        .enumerate();
    while let Some((index, evidence)) = found.next().await {
        let evidence = evidence?;
        let run = &evidence.run;
        let Ok(records) = &evidence.records else {
            report.violation("I1", format!("run {} was accepted and cannot be read", run.id));
            totals.lost += 1;
            continue;
        };
        workload.lock().saw_records(index, records);
        totals.records += records.len();
        check_shape(run, records, golden, report);
        check_timers(run, records, report);
        check_child(&evidence, golden, report);
        if run.kind == Kind::Model {
            check_calls(run, records, &calls, faults, &mut totals, report);
        }
        check_commands(&evidence, &mut totals, report);
    }
    drop(found);
    let state = workload.lock();
    for (invariant, what) in &state.violations {
        report.violation(invariant, what.clone());
    }
    report.figure("accepted_runs", accepted);
    report.figure("ledger_records", totals.records);
    report.figure("acknowledged_commands", totals.commands);
    report.figure("commands_answered_again", state.resent_commands);
    report.figure("unanswered_starts", state.unanswered_starts);
    report.figure("parked_and_let_go_on", state.parked);
    report.figure("answers_503", state.unavailable);
    report.figure("effects_executed", totals.executed);
    report.figure("effects_recorded", totals.recorded);
    report.bar("lost_runs", totals.lost as f64, 0.0);
    let ratio = totals.executed as f64 / (totals.recorded.max(1)) as f64;
    report.bar(
        "effects_executed_per_recorded",
        rounded(ratio),
        (1 + faults) as f64,
    );
    Ok(())
}

async fn collect(run: Run, api: &Api) -> Result<Evidence> {
    let records = api.ledger(&run.id).await;
    let mut family = None;
    if let (Kind::Parent, Ok(records)) = (run.kind, &records) {
        let path = format!("/api/gateway/runs/{}/history_bundle", run.id);
        let history = api.get(&path).await?.ok()?;
        let size = history["ledgers"].as_object().map_or(0, serde_json::Map::len);
        let child = match flows::child_of(records) {
            Some(child) => api.ledger(child).await,
            None => Err(anyhow::anyhow!("run {} names no child", run.id)),
        };
        family = Some((size, child));
    }
    let mut again = Vec::new();
    for command in &run.commands {
        if let Some(seq) = command.acknowledged {
            let payload = command.payload.clone();
            let reply = api.command(&command.id, &run.id, command.kind, payload).await?;
            again.push((command.id.clone(), seq, reply));
        }
    }
    Ok(Evidence {
        run,
        records,
        family,
        again,
    })
}

#[derive(Default)]
struct Totals {
    lost: u64,
    records: usize,
    commands: u64,
    executed: usize,
    recorded: usize,
}

/// The run ended as it should, with the records of an undisturbed run: no step twice, none missing.
fn check_shape(run: &Run, records: &[Value], golden: &Golden, report: &mut Report) {
    if run
        .ended
        .as_deref()
        .is_some_and(|status| status != run.kind.end())
    {
        let text = format!("run {} ({:?}) ended as {:?}", run.id, run.kind, run.ended);
        report.violation("I7", text);
    }
    let shape = flows::shape(records);
    if golden.own.get(&run.kind) != Some(&shape) {
        report.violation(
            "I5",
            format!("run {} ({:?}) has the records {shape:?}", run.id, run.kind),
        );
    }
}

/// No timer fired before its time.
fn check_timers(run: &Run, records: &[Value], report: &mut Report) {
    for pair in records.windows(2) {
        let due = pair[0]["result"]["wait"]["until"].as_str();
        let fired = pair[1]["started_at"].as_str();
        if let (Some(due), Some(fired)) = (due, fired)
            && fired.trim_end_matches("+00:00") < due.trim_end_matches("+00:00")
        {
            report.violation("I9", format!("run {}: due {due}, fired {fired}", run.id));
        }
    }
}

/// One child, with the records of an undisturbed one.
fn check_child(evidence: &Evidence, golden: &Golden, report: &mut Report) {
    let Some((family, child)) = &evidence.family else {
        return;
    };
    let run = &evidence.run.id;
    if *family != 2 {
        report.violation(
            "I5",
            format!("run {run} has {} children", family.saturating_sub(1)),
        );
    }
    match child {
        Ok(records) if flows::shape(records) == golden.child => {}
        Ok(records) => {
            let shape = flows::shape(records);
            report.violation("I5", format!("the child of run {run} has the records {shape:?}"));
        }
        Err(error) => report.violation("I1", format!("the child of run {run}: {error:#}")),
    }
}

/// Calls that reached the model server against what the ledger says about them.
fn check_calls(
    run: &Run,
    records: &[Value],
    calls: &[Call],
    faults: u64,
    totals: &mut Totals,
    report: &mut Report,
) {
    for (call, node) in CALLS {
        let made = tend::count(calls, &flows::prompt(&run.name, call));
        let own = || records.iter().filter(|record| record["node_id"] == node);
        let attempts = own()
            .filter_map(|record| record["attempt"].as_u64())
            .max()
            .unwrap_or(0);
        let completions = own().filter(|record| record["status"] == "completed").count();
        totals.executed += made;
        totals.recorded += completions;
        if made as u64 > attempts {
            let text = format!(
                "run {} {node}: {made} calls, {attempts} attempts recorded",
                run.id
            );
            report.violation("I6", text);
        }
        if attempts > 1 + faults {
            report.violation(
                "I6",
                format!("run {} {node}: {attempts} attempts, {faults} faults", run.id),
            );
        }
        if completions != 0 && made == 0 {
            report.violation("I6", format!("run {} {node}: completed without a call", run.id));
        }
        if let Some(&then) = run.calls_at_completion.get(node)
            && made > then
        {
            let text = format!(
                "run {} {node}: called again after its completion was read",
                run.id
            );
            report.violation("I6", text);
        }
    }
}

/// An acknowledged command is still known under its id and number.
fn check_commands(evidence: &Evidence, totals: &mut Totals, report: &mut Report) {
    for (id, seq, again) in &evidence.again {
        totals.commands += 1;
        let known = again.body["duplicate"] == true && again.body["accepted"] == false;
        if !known || again.body["seq"].as_u64() != Some(*seq) {
            let text = format!("command {id} had seq {seq}, now {} {}", again.status, again.text);
            report.violation(if known { "I2" } else { "I1" }, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;
    use crate::load::workload::Run;

    const INVARIANTS: [&str; 4] = ["I5", "I6", "I7", "I9"];

    fn run(kind: Kind) -> Run {
        Run {
            id: "r".to_owned(),
            name: "7".to_owned(),
            kind,
            commands: Vec::new(),
            seen: Vec::new(),
            ended: Some(kind.end().to_owned()),
            calls_at_completion: HashMap::new(),
            busy: false,
        }
    }

    fn record(node: &str, status: &str, attempt: u64) -> Value {
        json!({"node_id": node, "status": status, "attempt": attempt, "effect": {"type": "llm_call"}})
    }

    fn call(prompt: &str) -> Call {
        let body = json!({"messages": [{"role": "user", "content": prompt}]});
        serde_json::from_value(json!({"endpoint": "chat", "body": body})).expect("a call")
    }

    fn report() -> Report {
        Report::new("test", 0, "embedded", &INVARIANTS)
    }

    #[test]
    fn a_call_after_its_recorded_completion_is_found() {
        let once = [record("l1", "started", 1), record("l1", "completed", 1)];
        let twice = [
            record("l1", "started", 1),
            record("l1", "started", 2),
            record("l1", "completed", 2),
        ];
        let one = [call("prompt-7-1.")];
        let two = [call("prompt-7-1."), call("prompt-7-1.")];
        let cases = [
            ("as it should be", &once[..], &one[..], Some(1), 0, true),
            (
                "a crash between call and completion",
                &twice,
                &two,
                Some(2),
                1,
                true,
            ),
            ("a crash before the call", &twice, &one, None, 1, true),
            ("a call without an attempt", &once, &two, None, 1, false),
            (
                "a call after the completion was read",
                &twice,
                &two,
                Some(1),
                1,
                false,
            ),
            ("more attempts than crashes", &twice, &two, None, 0, false),
            ("a completion without a call", &once, &[], None, 0, false),
        ];
        for (name, records, calls, read, kills, pass) in cases {
            let mut run = run(Kind::Model);
            run.calls_at_completion.extend(read.map(|count| ("l1", count)));
            let mut report = report();
            check_calls(&run, records, calls, kills, &mut Totals::default(), &mut report);
            assert_eq!(report.pass(), pass, "{name}: {report:?}");
        }
    }

    #[test]
    fn missing_and_doubled_steps_are_found() {
        let whole = [record("a", "started", 1), record("a", "completed", 1)];
        let again = [
            record("a", "started", 1),
            record("a", "started", 2),
            record("a", "completed", 2),
        ];
        let doubled = [whole.clone(), whole.clone()].concat();
        let golden = Golden {
            own: HashMap::from([(Kind::Chain, flows::shape(&whole))]),
            child: Vec::new(),
        };
        for (name, records, pass) in [
            ("whole", &whole[..], true),
            ("a second attempt", &again, true),
            ("doubled", &doubled, false),
            ("cut off", &whole[..1], false),
        ] {
            let mut report = report();
            check_shape(&run(Kind::Chain), records, &golden, &mut report);
            assert_eq!(report.pass(), pass, "{name}");
        }
        let mut failed = run(Kind::Chain);
        failed.ended = Some("failed".to_owned());
        let mut report = report();
        check_shape(&failed, &whole, &golden, &mut report);
        assert!(!report.pass(), "a run that failed");
    }

    #[test]
    fn early_timers_are_found() {
        let waiting = json!({"result": {"wait": {"until": "2026-01-01T00:00:01.500000+00:00"}}});
        for (fired, pass) in [
            ("2026-01-01T00:00:01.500000+00:00", true),
            ("2026-01-01T00:00:02+00:00", true),
            ("2026-01-01T00:00:01.499999+00:00", false),
        ] {
            let mut report = report();
            let next = json!({"started_at": fired});
            check_timers(&run(Kind::Timers), &[waiting.clone(), next], &mut report);
            assert_eq!(report.pass(), pass, "{fired}");
        }
    }
}
