//! Claims whose answers get lost: the session lives on and does not know what it owns.

use std::{sync::Arc, time::Duration};

use ag_types::{RunStatus, SystemScope};
use serde_json::json;
use tokio::time::Instant;

use super::Place;
use crate::support::{
    Setup,
    faults::Faults,
    flow::{answer, line_to, model},
    output,
};

/// The runs are given back while the session lives, long before its lease would end, and each is executed once.
#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_claim_that_nobody_heard_of_come_back() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let setup = Setup {
        faults: Some(faults.clone()),
        runner: super::pools::runner_of("default", true),
        ..place.setup()
    };
    let gateway = place.gateway(setup).await;
    let nodes = vec![model("l", "a"), answer("x", "1")];
    // A run whose claim is heard and which takes its time is not taken for lost meanwhile.
    let slow = line_to(vec![model("s", "gate")], Some(("s", "response")));
    let main = line_to(nodes, Some(("l", "response")));
    gateway.install(&[("main", main), ("slow", slow)]).await;
    let held = gateway.run("slow", json!({})).await;
    place.model.called(1).await;

    faults.lose_claims(2);
    let began = Instant::now();
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(gateway.run("main", json!({})).await);
    }
    for run in runs {
        let row = gateway.ended(run).await;
        assert_eq!(
            (row.columns.status, &output(&row)["got"]),
            (RunStatus::Completed, &json!("re: a"))
        );
    }
    assert_eq!(faults.unheard(), 0, "claims were lost");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    place.model.gate.add_permits(1);
    assert_eq!(gateway.ended(held).await.columns.status, RunStatus::Completed);
    assert!(
        place.model.attempts().iter().all(|attempt| *attempt == 1),
        "nothing was done twice"
    );
    let sessions = gateway
        .deps
        .store
        .pools(&SystemScope::new("test"))
        .await
        .expect("pools");
    assert_eq!(sessions[0].leased, 0);
    gateway.stop().await;
}
