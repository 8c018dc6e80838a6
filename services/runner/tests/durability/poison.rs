//! Runs whose holders fall over, stores that go away, clients that leave.

use std::{sync::Arc, time::Duration};

use ag_engine::StartRequest;
use ag_types::{RunId, RunStatus};
use serde_json::{Value, json};

use super::{Place, process, with_slots};
use crate::support::{
    Embedded, Setup,
    faults::Faults,
    flow::{answer, emit, line, line_to, model, subflow},
    output,
};

async fn parked(gateway: &Embedded, run: RunId, node: &str) {
    let row = gateway.until(run, "parked", |row| row.columns.paused).await;
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("vars");
    let reason = format!("parked after 3 runner crashes at node '{node}'");
    assert_eq!(vars["_runtime"]["control"]["pause_reason"], reason);
    assert_eq!(row.columns.status, RunStatus::Waiting);
}

/// D20: a handler that panics takes neither its run nor its slot away from others; after three times the run is
/// parked, and a plain resume tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_handler_parks_its_run_and_nobody_else() {
    let place = Place::new();
    let gateway = place
        .gateway(Setup {
            runner: with_slots(2),
            ..place.setup()
        })
        .await;
    gateway
        .install(&[
            (
                "bad",
                line_to(
                    vec![answer("a", "1"), model("l", "panic")],
                    Some(("l", "response")),
                ),
            ),
            ("good", line(vec![model("l", "fine")])),
        ])
        .await;
    let bad = [
        gateway.run("bad", json!({})).await,
        gateway.run("bad", json!({})).await,
    ];
    for _ in 0..20 {
        let good = gateway.run("good", json!({})).await;
        assert_eq!(gateway.ended(good).await.columns.status, RunStatus::Completed);
    }
    for run in bad {
        parked(&gateway, run, "l").await;
        let attempts: Vec<u32> = place
            .model
            .calls()
            .iter()
            .filter(|call| call.key.starts_with(&run.to_string()))
            .map(|call| call.attempt)
            .collect();
        assert_eq!(attempts, [1, 2, 3]);
    }
    place.model.tame();
    for run in bad {
        gateway.command(run, "resume", json!({})).await;
        let row = gateway.ended(run).await;
        assert_eq!(output(&row)["got"], "re: panic");
        let started = ["l:started(llm_call)"; 4];
        let ledger = gateway.ledger(run).await;
        assert_eq!(ledger[2..6], started, "every attempt is visible");
        assert_eq!(ledger[6], "l:completed(llm_call)");
    }
    gateway.stop().await;
}

/// D20, embedded: three unclean ends while the run is held.
#[test]
fn three_deaths_of_the_process_park_the_run() {
    let place = Place::new();
    let (mut run, mut waiting) = (None, None);
    for death in 1..=3 {
        let process = process();
        process.block_on(async {
            let gateway = place.gateway(place.setup()).await;
            if death == 1 {
                let hang = line_to(vec![model("l", "hang")], Some(("l", "response")));
                gateway
                    .install(&[("main", hang), ("asking", crate::support::flow::asking())])
                    .await;
                run = Some(gateway.run("main", json!({})).await);
                waiting = Some(gateway.run("asking", json!({})).await);
            }
            place.model.called(death).await;
        });
        drop(process);
    }
    let (run, waiting) = (run.expect("started"), waiting.expect("started"));
    process().block_on(async {
        let gateway = place.gateway(place.setup()).await;
        parked(&gateway, run, "l").await;
        assert!(
            !gateway.row(waiting).await.columns.paused,
            "a run at rest crashed nobody"
        );
        place.model.tame();
        gateway.command(run, "resume", json!({})).await;
        assert_eq!(output(&gateway.ended(run).await)["got"], "re: hang");
        assert_eq!(place.model.attempts(), [1, 2, 3, 4]);
        gateway.stop().await;
    });
}

/// D20, embedded: after two unclean ends runs go one at a time, and a third one counts against the one whose turn it was,
/// not against those that waited.
#[test]
fn a_third_death_counts_against_the_run_that_went_alone() {
    const RUNS: usize = 4;
    let place = Place::new();
    let mut runs = Vec::new();
    for calls in [RUNS, 2 * RUNS, 2 * RUNS + 1] {
        let process = process();
        process.block_on(async {
            let gateway = place.gateway(place.setup()).await;
            if runs.is_empty() {
                gateway.install(&[("main", line(vec![model("l", "hang")]))]).await;
                for _ in 0..RUNS {
                    runs.push(gateway.run("main", json!({})).await);
                }
            }
            place.model.called(calls).await;
        });
        drop(process);
    }
    let third = place.model.calls().pop().expect("a call").key;
    place.model.tame();
    process().block_on(async {
        let gateway = place.gateway(place.setup()).await;
        for run in runs {
            if third.starts_with(&run.to_string()) {
                parked(&gateway, run, "l").await;
            } else {
                assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
            }
        }
        gateway.stop().await;
    });
}

/// I7: a store that is away for a while costs time, not the run: it is not held for ever by a session without a drive.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_back_finds_its_runs_moving() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let gateway = place
        .gateway(Setup {
            faults: Some(faults.clone()),
            ..place.setup()
        })
        .await;
    gateway
        .install(&[("main", line(vec![model("l", "gate"), model("m", "2")]))])
        .await;
    let run = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    faults.set_away(true);
    place.model.gate.add_permits(2);
    // The commit of the result fails, and so does its first repeat.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while faults.refused() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "nobody tried to write");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    faults.set_away(false);
    assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    assert_eq!(place.model.attempts(), [1, 1], "the result was kept meanwhile");
    gateway.stop().await;
}

/// A store that cannot be asked for a moment is not the flow's fault: the step is made later.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_in_the_middle_of_a_step_fails_nothing() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let gateway = place
        .gateway(Setup {
            faults: Some(faults.clone()),
            ..place.setup()
        })
        .await;
    let flows = [
        (
            "main",
            line(vec![model("l", "gate"), subflow("s", "below"), emit("e", "news")]),
        ),
        ("below", line(vec![answer("a", "hello")])),
    ];
    gateway.install(&flows).await;
    let run = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    faults.blind(3);
    place.model.gate.add_permits(1);
    assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    assert!(faults.sees_again(), "nobody asked the store");
    assert_eq!(gateway.children(run, 1).await.len(), 1);
    assert_eq!(place.model.attempts(), [1], "the result was kept meanwhile");
    gateway.stop().await;
}

/// D4: a client that goes away in the middle of its start does not strand the run between the commit and its drive.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_strand_its_run() {
    let place = Place::new();
    let gateway = place.with_flow(line(vec![model("l", "x")])).await;
    let filter = ag_store::RunFilter {
        limit: 1_000,
        ..ag_store::RunFilter::default()
    };
    let (mut answered, mut left) = (0, 0);
    for round in 0..600 {
        let request = StartRequest {
            flow_id: Some("b:main".into()),
            ..StartRequest::default()
        };
        let start = gateway.starter.start(&gateway.scope, request);
        // Dropped at whatever point it has reached.
        let patience = Duration::from_micros(round % 60 * 40);
        answered += usize::from(tokio::time::timeout(patience, start).await.is_ok());
        if round % 20 == 19 {
            left = gateway
                .deps
                .store
                .runs(&gateway.scope, filter.clone())
                .await
                .expect("runs")
                .len()
                - answered;
            if left >= 3 {
                break;
            }
        }
    }
    assert!(left >= 3, "no start was cut between its commit and its answer");
    for run in gateway
        .deps
        .store
        .runs(&gateway.scope, filter)
        .await
        .expect("runs")
    {
        let row = gateway.ended(run.head.run_id).await;
        assert_eq!(row.columns.status, RunStatus::Completed);
    }
    gateway.stop().await;
}
