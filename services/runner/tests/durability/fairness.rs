//! One plane's backlog does not hold up another's, and a cancel is not held up by a deaf call.

use std::time::{Duration, Instant};

use ag_runner::{Company, RunnerOptions};
use ag_types::{PlaneKey, RunStatus, SystemScope};
use serde_json::json;

use super::{Place, with_slots};
use crate::support::{
    Setup,
    flow::{line, model},
};

/// I12: three hundred runs of one plane were rung first; the one of another plane is among the first to be done.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_plane_does_not_starve_another() {
    let place = Place::new();
    let setup = Setup {
        runner: RunnerOptions {
            company: Company::Others { workspace: true },
            ..with_slots(1)
        },
        ..place.setup()
    };
    let gateway = place.gateway(setup).await;
    let key = PlaneKey {
        tenant_id: "quiet".into(),
        runtime_id: "r".into(),
    };
    let quiet = gateway
        .deps
        .store
        .plane(&SystemScope::new("test"), &key)
        .await
        .expect("plane");
    let flows = [("main", line(vec![model("l", "gate")]))];
    for scope in [&gateway.scope, &quiet] {
        gateway.install_in(scope, &json!({}), &flows).await;
    }
    // The only slot is taken while the backlog grows.
    let first = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    for _ in 0..300 {
        gateway.run("main", json!({})).await;
    }
    let late = gateway.run_in(&quiet, "main", json!({})).await;
    place.model.gate.add_permits(1_000);
    gateway.ended(first).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let row = gateway
            .deps
            .store
            .run(&quiet, late)
            .await
            .expect("read")
            .expect("run");
        if row.columns.status == RunStatus::Completed {
            break;
        }
        assert!(Instant::now() < deadline, "the other plane starves");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let place_in_line = place
        .model
        .calls()
        .iter()
        .position(|call| call.key.starts_with(&late.to_string()));
    let place_in_line = place_in_line.expect("it made its call");
    assert!(
        place_in_line <= 20,
        "{place_in_line} calls of the noisy plane came first"
    );
    gateway.stop().await;
}

/// A call that hears nothing keeps its thread, not the run: after 1.5 s the run is taken over and ends cancelled, and
/// what the deaf holder brings is dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_ignored_cancel_is_taken_over() {
    let place = Place::new();
    let gateway = place.with_flow(line(vec![model("l", "block")])).await;
    let run = gateway.run("main", json!({})).await;
    place.model.called(1).await;
    let posted = Instant::now();
    gateway.command(run, "cancel", json!({"reason": "enough"})).await;
    let row = gateway.ended(run).await;
    let took = posted.elapsed();
    assert_eq!(
        (row.columns.status, row.columns.error.as_deref()),
        (RunStatus::Cancelled, Some("enough"))
    );
    assert!(
        took > Duration::from_millis(1_400) && took < Duration::from_secs(5),
        "{took:?}"
    );
    let ledger = gateway.ledger(run).await;
    place.model.unblock();
    // The deaf holder comes back and writes nothing; the runner is whole.
    gateway.stop().await;
    assert_eq!(ledger, ["l:started(llm_call)", "l:completed(emit_event)"]);
    let gateway = place.gateway(place.setup()).await;
    assert_eq!(gateway.ledger(run).await, ledger);
    gateway.stop().await;
}
