//! Flows end to end on SQLite: starts with their first tick, waits, mail, timers, children, trees, restarts.

mod durability;
mod support;

use std::sync::Arc;

use ag_artifacts::MemoryBlobs;
use ag_types::RunStatus;
use serde_json::json;
use support::{
    Embedded,
    flow::{IN, OUT, answer, asking, chain, delay, edge, end, flow, node, start},
    output,
};

async fn embedded() -> (tempfile::TempDir, Embedded) {
    let dir = tempfile::tempdir().expect("scratch");
    let embedded = Embedded::start(dir.path(), Arc::new(MemoryBlobs::default())).await;
    (dir, embedded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_answers_ends_inside_its_start() {
    let (_dir, gateway) = embedded().await;
    let nodes = vec![
        start(),
        answer("a", "1"),
        answer("b", "2"),
        answer("c", "3"),
        end("x"),
    ];
    gateway
        .install(&[("main", flow(nodes, chain(&["start", "a", "b", "c", "end"])))])
        .await;
    let run = gateway.run("main", json!({})).await;
    let row = gateway.row(run).await;
    assert_eq!(row.columns.status, RunStatus::Completed, "no runner was needed");
    assert_eq!(output(&row), json!({"x": null, "success": true}));
    assert_eq!(
        gateway.ledger(run).await,
        [
            "a:started(answer_user)",
            "a:completed(answer_user)",
            "b:started(answer_user)",
            "b:completed(answer_user)",
            "c:started(answer_user)",
            "c:completed(answer_user)",
            "end:completed(-)",
            "end:completed(emit_event)",
        ]
    );
    assert_eq!((row.last_seq, row.columns.counters.steps), (8, 5));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_rests_and_its_answer_resumes() {
    let (_dir, gateway) = embedded().await;
    gateway.install(&[("main", asking())]).await;
    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    gateway
        .command(
            run,
            "resume",
            json!({"wait_key": "wrong", "payload": {"response": "x"}}),
        )
        .await;
    gateway
        .command(run, "resume", json!({"payload": {"response": "Ada"}}))
        .await;
    let row = gateway.ended(run).await;
    assert_eq!(output(&row), json!({"name": "Ada", "success": true}));
    assert_eq!(
        gateway.ledger(run).await,
        [
            "q:started(ask_user)",
            "q:waiting(ask_user)",
            "q:completed(resume)",
            "end:completed(-)",
            "end:completed(emit_event)"
        ]
    );
    let refused = gateway
        .deps
        .store
        .command(&gateway.scope, "c0")
        .await
        .expect("read")
        .expect("stored");
    assert!(
        refused
            .outcome
            .is_some_and(|text| text.starts_with("wait_key mismatch"))
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_once_and_survive_a_pause() {
    let (_dir, gateway) = embedded().await;
    let nodes = vec![start(), delay("w", 0.2), answer("a", "late"), end("x")];
    gateway
        .install(&[("main", flow(nodes, chain(&["start", "w", "a", "end"])))])
        .await;
    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    gateway.command(run, "pause", json!({"reason": "lunch"})).await;
    gateway.until(run, "paused", |row| row.columns.paused).await;
    gateway.command(run, "resume", json!({})).await;
    let row = gateway.ended(run).await;
    assert_eq!(row.columns.status, RunStatus::Completed);
    let ledger = gateway.ledger(run).await;
    assert_eq!(
        ledger[..3],
        [
            "w:started(wait_until)",
            "w:waiting(wait_until)",
            "a:started(answer_user)"
        ]
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_reports_to_its_parent_and_a_cancel_reaches_it() {
    let (_dir, gateway) = embedded().await;
    let sub = node(
        "s",
        "subflow",
        &[IN],
        &[OUT, ("output", "object")],
        json!({"subflowId": "child"}),
    );
    let mut edges = chain(&["start", "s", "end"]);
    edges.push(edge("s", "output", "end", "got"));
    gateway
        .install(&[
            ("main", flow(vec![start(), sub, end("got")], edges)),
            ("child", asking()),
        ])
        .await;

    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    let children = gateway
        .deps
        .store
        .children(&gateway.scope, run)
        .await
        .expect("children");
    let child = children[0].head.run_id;
    gateway.waiting(child).await;
    gateway
        .command(child, "resume", json!({"payload": {"response": "Bob"}}))
        .await;
    let row = gateway.ended(run).await;
    assert_eq!(
        output(&row),
        json!({"got": {"name": "Bob", "success": true}, "success": true})
    );

    let run = gateway.run("main", json!({})).await;
    gateway.waiting(run).await;
    let child = gateway
        .deps
        .store
        .children(&gateway.scope, run)
        .await
        .expect("children")[0]
        .head
        .run_id;
    gateway.waiting(child).await;
    gateway.command(run, "cancel", json!({"reason": "enough"})).await;
    for run in [run, child] {
        let row = gateway.ended(run).await;
        assert_eq!(row.columns.status, RunStatus::Cancelled);
        assert_eq!(row.columns.error.as_deref(), Some("enough"));
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_runs_go_on_after_a_restart() {
    let dir = tempfile::tempdir().expect("scratch");
    let blobs = Arc::new(MemoryBlobs::default());
    let gateway = Embedded::start(dir.path(), blobs.clone()).await;
    let nodes = vec![start(), delay("w", 0.3), answer("a", "late"), end("x")];
    gateway
        .install(&[
            ("main", asking()),
            ("timer", flow(nodes, chain(&["start", "w", "a", "end"]))),
        ])
        .await;
    let asked = gateway.run("main", json!({})).await;
    let timed = gateway.run("timer", json!({})).await;
    gateway.waiting(asked).await;
    gateway.waiting(timed).await;
    let before = gateway.ledger(asked).await;
    gateway.stop().await;

    let gateway = Embedded::start(dir.path(), blobs).await;
    assert_eq!(gateway.ended(timed).await.columns.status, RunStatus::Completed);
    gateway
        .command(asked, "resume", json!({"payload": {"response": "Eve"}}))
        .await;
    let row = gateway.ended(asked).await;
    assert_eq!(output(&row)["name"], "Eve");
    assert_eq!(gateway.ledger(asked).await[..before.len()], before);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_share_the_runner() {
    let (_dir, gateway) = embedded().await;
    let nodes = vec![
        start(),
        answer("a", "1"),
        delay("w", 0.05),
        answer("b", "2"),
        end("x"),
    ];
    gateway
        .install(&[("main", flow(nodes, chain(&["start", "a", "w", "b", "end"])))])
        .await;
    let mut runs = Vec::new();
    for _ in 0..300 {
        runs.push(gateway.run("main", json!({})).await);
    }
    for run in runs {
        assert_eq!(gateway.ended(run).await.columns.status, RunStatus::Completed);
    }
    gateway.stop().await;
}
