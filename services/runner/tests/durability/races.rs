//! Many hands on one run.

use std::time::{Duration, Instant};

use ag_runner::RunnerOptions;
use ag_types::RunStatus;
use futures::future::join_all;
use serde_json::json;

use super::{Place, with_slots};
use crate::support::{
    Setup,
    flow::{answer, asking, chain, delay, emit, flow, line, line_to, listen, model, set_var, start},
    output,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_ten_answers_wins() {
    let place = Place::new();
    let gateway = place.with_flow(asking()).await;
    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    let ids: Vec<String> = (0..10).map(|i| format!("answer-{i}")).collect();
    let posts = ids
        .iter()
        .map(|id| gateway.post(id, run, "resume", json!({"payload": {"response": id}})));
    for receipt in join_all(posts).await {
        assert!(receipt.expect("post").accepted);
    }
    let row = gateway.ended(run).await;
    let mut winners = Vec::new();
    for id in &ids {
        match gateway.settled(id).await.outcome.as_deref() {
            None => winners.push(id.clone()),
            Some("Run is not waiting" | "run has ended") => {}
            Some(other) => panic!("{id}: {other}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(output(&row)["name"], winners[0]);
    let resumes = gateway
        .ledger(run)
        .await
        .iter()
        .filter(|row| row.contains("(resume)"))
        .count();
    assert_eq!(resumes, 1);
    gateway.stop().await;
}

/// I2: one command id has one effect, however many post it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_id_counts_once() {
    let place = Place::new();
    let gateway = place.with_flow(asking()).await;
    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    let posts = (0..10).map(|i| gateway.post("same", run, "resume", json!({"payload": {"response": i}})));
    let receipts: Vec<_> = join_all(posts)
        .await
        .into_iter()
        .map(|receipt| receipt.expect("post"))
        .collect();
    assert_eq!(receipts.iter().filter(|receipt| receipt.accepted).count(), 1);
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.seq == receipts[0].seq && receipt.accepted != receipt.duplicate)
    );
    gateway.ended(run).await;
    assert_eq!(gateway.settled("same").await.outcome, None);
    gateway.stop().await;
}

/// D9: a cancel reaches the call within a second; what the call would have said is never recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_cuts_the_call() {
    let place = Place::new();
    let gateway = place
        .with_flow(line(vec![model("l", "hang"), answer("a", "never")]))
        .await;
    let run = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    let posted = Instant::now();
    gateway.command(run, "cancel", json!({"reason": "enough"})).await;
    place.model.dropped(1).await;
    assert!(
        posted.elapsed() < Duration::from_secs(1),
        "{:?}",
        posted.elapsed()
    );
    let row = gateway.ended(run).await;
    assert_eq!(
        (row.columns.status, row.columns.error.as_deref()),
        (RunStatus::Cancelled, Some("enough"))
    );
    let ledger = gateway.ledger(run).await;
    assert_eq!(ledger, ["l:started(llm_call)", "l:completed(emit_event)"]);
    // The runner is idle now; nothing can follow.
    let other = gateway.run("main", json!({})).await;
    place.model.called(2).await;
    gateway.command(other, "cancel", json!({})).await;
    gateway.ended(other).await;
    assert_eq!(gateway.ledger(run).await, ledger);
    gateway.stop().await;
}

/// Kernel spec §4.1: the result of the call is kept, the pause applies at its end, before the next step.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_waits_for_the_call_and_no_longer() {
    let place = Place::new();
    let nodes = vec![model("l", "gate"), answer("a", "after")];
    let gateway = place.with_flow(line_to(nodes, Some(("l", "response")))).await;
    let run = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    let called = Instant::now();
    gateway.command(run, "pause", json!({"reason": "hold on"})).await;
    // Of what is posted during a call of a few milliseconds nobody can tell that it did not come after it.
    tokio::time::sleep_until((called + Duration::from_millis(20)).into()).await;
    place.model.gate.add_permits(1);
    let row = gateway
        .until(run, "paused or past it", |row| {
            row.columns.paused || row.columns.status.is_terminal()
        })
        .await;
    assert_eq!(row.columns.status, RunStatus::Waiting);
    assert_eq!(row.columns.current_node, "a", "the next node");
    assert_eq!(
        gateway.ledger(run).await,
        ["l:started(llm_call)", "l:completed(llm_call)"]
    );
    gateway.command(run, "resume", json!({})).await;
    let row = gateway.ended(run).await;
    assert_eq!(output(&row)["got"], "re: gate");
    assert_eq!(place.model.attempts(), [1]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_hundred_listeners_in_one_step() {
    let place = Place::new();
    let gateway = place.gateway(place.setup()).await;
    gateway
        .install(&[
            ("listener", line(vec![listen("w", "ping")])),
            (
                "emitter",
                line_to(vec![emit("e", "ping")], Some(("e", "delivered"))),
            ),
        ])
        .await;
    let mut listeners = Vec::new();
    for _ in 0..100 {
        listeners.push(gateway.run("listener", json!({})).await);
    }
    for run in &listeners {
        gateway.waiting(*run).await;
    }
    let emitter = gateway.run("emitter", json!({})).await;
    assert_eq!(output(&gateway.ended(emitter).await)["got"], 100);
    for run in listeners {
        assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
        let resumes = gateway
            .ledger(run)
            .await
            .iter()
            .filter(|row| row.contains("(resume)"))
            .count();
        assert_eq!(resumes, 1);
    }
    gateway.stop().await;
}

/// A timer that a start's own tick has set is known to the runner at once, not at its next look after a second.
#[tokio::test(flavor = "multi_thread")]
async fn near_timers_do_not_wait_for_a_beat() {
    let place = Place::new();
    let gateway = place.with_flow(line(vec![delay("w", 0.01)])).await;
    let since = Instant::now();
    for _ in 0..6 {
        let run = gateway.run("main", json!({})).await;
        assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    }
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "a beat each: {:?}",
        since.elapsed()
    );
    gateway.stop().await;
}

/// D4, budget: an endless loop of pure steps leaves room for others and hears its cancel.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_disturbs_nobody_and_ends_when_told() {
    let place = Place::new();
    let gateway = place
        .gateway(Setup {
            runner: with_slots(4),
            ..place.setup()
        })
        .await;
    let mut edges = chain(&["start", "a", "b"]);
    edges.extend(chain(&["b", "a"]));
    let endless = flow(vec![start(), set_var("a", "x"), set_var("b", "y")], edges);
    gateway
        .install(&[
            ("endless", endless),
            ("calls", line(vec![model("l", "x"), model("m", "y")])),
        ])
        .await;
    let endless = gateway.run("endless", json!({})).await;
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(gateway.run("calls", json!({})).await);
    }
    for run in runs {
        assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    }
    assert_eq!(gateway.row(endless).await.columns.status, RunStatus::Running);
    let posted = Instant::now();
    gateway
        .command(endless, "cancel", json!({"reason": "runaway"}))
        .await;
    let row = gateway.ended(endless).await;
    assert!(
        posted.elapsed() < Duration::from_secs(2),
        "{:?}",
        posted.elapsed()
    );
    assert_eq!(
        (row.columns.status, row.columns.error.as_deref()),
        (RunStatus::Cancelled, Some("runaway"))
    );
    assert_eq!(gateway.ledger(endless).await.len(), 1, "budgets leave no record");
    gateway.stop().await;
}

/// A drain in the middle of calls hands the runs back without a crash; the next process finishes all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_in_the_middle_loses_nothing() {
    let place = Place::new();
    let runner = RunnerOptions {
        drain: Duration::from_millis(100),
        ..RunnerOptions::default()
    };
    let gateway = place
        .gateway(Setup {
            runner,
            ..place.setup()
        })
        .await;
    let nodes = vec![model("l", "gate"), answer("a", "1"), model("m", "gate")];
    gateway
        .install(&[("main", line_to(nodes, Some(("m", "response"))))])
        .await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(gateway.run("main", json!({})).await);
    }
    // Half of them are in their second call when the drain begins.
    place.model.called(20).await;
    place.model.gate.add_permits(10);
    place.model.called(30).await;
    gateway.stop().await;

    place.model.tame();
    place
        .model
        .generation
        .store(2, std::sync::atomic::Ordering::SeqCst);
    let gateway = place.gateway(place.setup()).await;
    for run in &runs {
        let row = gateway.ended(*run).await;
        assert_eq!(output(&row)["got"], "re: gate");
    }
    let calls = place.model.calls();
    let second = |key: &str| {
        calls
            .iter()
            .filter(|call| call.key == key && call.generation == 2)
            .count()
    };
    for call in calls.iter().filter(|call| call.generation == 1) {
        let repeated = second(&call.key);
        // A call that ended before the drain is not made again; one that was cut is made once more.
        assert!(repeated <= 1, "{}: {repeated}", call.key);
    }
    assert_eq!(calls.len(), 60, "20 calls were cut and made again: {calls:?}");
    assert!(calls.iter().all(|call| call.attempt <= 2));
    gateway.stop().await;
}
