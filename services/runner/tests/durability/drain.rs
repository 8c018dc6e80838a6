//! A drain may take longer than a lease. Time is virtual here: the store's clock and the runner's are tokio's.

use std::{sync::Arc, time::Duration};

use ag_artifacts::MemoryBlobs;
use ag_runner::{Company, RunnerOptions};
use ag_store::{NewSession, Store, Sweep, fake::FakeStore};
use ag_types::{Clock, RunStatus, SessionId, SystemScope, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    Embedded, Setup,
    flow::{answer, line, model},
    model::Model,
};

const WORK: SystemScope = SystemScope::new("test");

pub(super) struct Virtual(pub(super) Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.0.elapsed().as_micros()).expect("a short test");
        Timestamp::from_micros(1_800_000_000_000_000 + elapsed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_drain_keeps_its_lease() {
    let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
    let store: Arc<dyn Store> = Arc::new(FakeStore::new(clock.clone()));
    let calls = Arc::new(Model::default());
    let setup = Setup {
        model: Some(calls.clone()),
        runner: RunnerOptions {
            drain: Duration::from_secs(60),
            company: Company::Others { workspace: true },
            ..RunnerOptions::default()
        },
        ..Setup::default()
    };
    let gateway = Embedded::on(store.clone(), clock, Arc::new(MemoryBlobs::default()), setup)
        .await
        .expect("session");
    gateway
        .install(&[("main", line(vec![model("l", "gate"), answer("a", "after")]))])
        .await;
    let run = gateway.run("main", json!({})).await;
    calls.called(1).await;
    let waiting = gateway.run("main", json!({})).await;
    calls.called(2).await;
    let scope = gateway.scope.clone();

    let began = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    // Another runner looks for dead sessions all the time, for three leases.
    while began.elapsed() < Duration::from_secs(45) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = store.sweep(&WORK, Sweep::Sessions).await.expect("sweep");
        assert_eq!(found, [], "the lease was lost after {:?}", began.elapsed());
    }
    calls.gate.add_permits(1);
    stopping.await.expect("drained");
    let drained = began.elapsed();
    assert!(
        drained >= Duration::from_secs(60),
        "{drained:?}: one call never ended"
    );

    // The call that ended was recorded, its run rests ready at the boundary; the other one was handed back. None of
    // the two counts a crash.
    let session = NewSession {
        id: SessionId(99),
        pool: "default".into(),
        node: "next".into(),
    };
    store.open_session(&WORK, session).await.expect("session");
    for (run, records) in [(run, 2), (waiting, 1)] {
        let row = store.run(&scope, run).await.expect("read").expect("run");
        assert_eq!(
            (row.columns.status, row.last_seq),
            (RunStatus::Running, records),
            "{run}"
        );
        let key = ag_types::RunKey {
            run,
            plane: scope.plane,
        };
        let claim = store
            .claim(&WORK, SessionId(99), &[key], &[])
            .await
            .expect("claim");
        assert_eq!(claim.runs.first().map(|run| run.crashes), Some(0), "{run}");
    }
}
