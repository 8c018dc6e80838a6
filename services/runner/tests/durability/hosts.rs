//! Hosts whose stores are away: steps wait, and what was paid for before them is kept. Time is virtual here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ag_artifacts::MemoryBlobs;
use ag_engine::{Host, HostFailure, HostQuestion};
use ag_runner::{Company, RunnerOptions};
use ag_store::{Store, StoreError, fake::FakeStore};
use ag_types::{Clock, RunStatus};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::drain::Virtual;
use crate::support::{
    Embedded, Setup,
    flow::{IN, OUT, answer, line, model, node},
    model::Model,
};

/// Answers once so many questions have been refused.
struct Sick {
    refusals: AtomicUsize,
}

#[async_trait]
impl Host for Sick {
    async fn answer(&self, _: HostQuestion<'_>) -> Result<Value, HostFailure> {
        let one_less = |left: usize| left.checked_sub(1);
        let refused = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        match refused {
            Ok(_) => Err(HostFailure::Postponed(StoreError::Unavailable("away".to_owned()))),
            Err(_) => Ok(json!({"content": "c", "file_path": "a.txt"})),
        }
    }
}

/// A short outage is waited for in place, a long one outside: the run is given back and claimed again. In neither case is
/// the call before the step made twice, and the step does not fail.
#[tokio::test(start_paused = true)]
async fn a_host_without_its_store_postpones_the_step() {
    for (refusals, at_least) in [
        (3, Duration::from_millis(50 + 100 + 200)),
        (20, Duration::from_secs(12)),
    ] {
        let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
        let store: Arc<dyn Store> = Arc::new(FakeStore::new(clock.clone()));
        let calls = Arc::new(Model::default());
        let host = Arc::new(Sick {
            refusals: AtomicUsize::new(refusals),
        });
        let setup = Setup {
            model: Some(calls.clone()),
            host: Some(host.clone()),
            runner: RunnerOptions {
                company: Company::Others { workspace: true },
                ..RunnerOptions::default()
            },
            ..Setup::default()
        };
        let gateway = Embedded::on(store, clock, Arc::new(MemoryBlobs::default()), setup)
            .await
            .expect("session");
        let path = json!({"pinDefaults": {"file_path": "a.txt"}});
        let inputs = [IN, ("file_path", "string")];
        let read = node("r", "read_file", &inputs, &[OUT, ("content", "any")], path);
        let steps = vec![model("l", "x"), read, answer("a", "after")];
        gateway.install(&[("main", line(steps))]).await;
        let began = Instant::now();
        let run = gateway.run("main", json!({})).await;
        let row = gateway.ended(run).await;
        assert_eq!(
            row.columns.status,
            RunStatus::Completed,
            "{:?}",
            row.columns.error
        );
        assert_eq!(host.refusals.load(Ordering::SeqCst), 0);
        assert!(began.elapsed() >= at_least, "{:?}", began.elapsed());
        assert_eq!(calls.attempts(), [1], "{refusals} refusals");
        gateway.stop().await;
    }
}
