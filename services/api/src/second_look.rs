//! Cancels whose holder does not obey: the node that posted one looks a second time, and takes the run over.
//!
//! Runners sweep for the same once a second; this is for the client who waits. One task per node does it, for at most
//! so many cancels at a time; what exceeds that is left to the runners, and so is everything once the node leaves.

use std::{collections::BTreeMap, sync::OnceLock};

use ag_engine::{CANCEL_TIME, Deps};
use ag_types::{PlaneId, RunId, TenantScope};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Cancels that wait for their second look.
const WAITING: usize = 1_024;
/// Runs of one look.
const MAX_RUNS: usize = 500;

/// The way to the task.
#[derive(Debug, Default)]
pub(crate) struct SecondLooks(OnceLock<mpsc::Sender<Look>>);

/// Runs that are looked at together.
#[derive(Debug)]
struct Look {
    due: Instant,
    scope: TenantScope,
    runs: Vec<RunId>,
}

impl SecondLooks {
    /// Looks at `runs`, whose cancel has just been posted, when their holders should have obeyed. The first call starts
    /// the task, which ends with `drain`.
    pub(crate) fn add(
        &self,
        deps: &Deps,
        tasks: &TaskTracker,
        drain: &CancellationToken,
        scope: &TenantScope,
        runs: &[RunId],
    ) {
        let queue = self.0.get_or_init(|| {
            let (queue, looks) = mpsc::channel(WAITING);
            let (deps, drain) = (deps.clone(), drain.clone());
            tasks.spawn(async move {
                drain.run_until_cancelled(work(&deps, looks)).await;
            });
            queue
        });
        let due = Instant::now() + CANCEL_TIME;
        for runs in runs.chunks(MAX_RUNS) {
            let look = Look {
                due,
                scope: scope.clone(),
                runs: runs.to_vec(),
            };
            // A full queue, or a node that leaves: the sweep of the runners finds them.
            let _ = queue.try_send(look);
        }
    }
}

/// Every look has the same delay, so they are due in the order of the queue.
async fn work(deps: &Deps, mut looks: mpsc::Receiver<Look>) {
    let mut next = looks.recv().await;
    while let Some(first) = next.take() {
        sleep_until(first.due).await;
        let mut due: BTreeMap<PlaneId, (TenantScope, Vec<RunId>)> = BTreeMap::new();
        let mut look = Some(first);
        while let Some(Look { scope, runs, .. }) = look.take() {
            due.entry(scope.plane)
                .or_insert_with(|| (scope, Vec::new()))
                .1
                .extend(runs);
            match looks.try_recv() {
                Ok(another) if another.due <= Instant::now() => look = Some(another),
                Ok(later) => next = Some(later),
                Err(_) => {}
            }
        }
        for (scope, runs) in due.into_values() {
            match deps.take_over(&scope, &runs).await {
                Ok(0) => {}
                Ok(taken) => tracing::warn!(taken, "runs whose holders ignored a cancel were taken over"),
                Err(error) => tracing::warn!(%error, "the second look at a cancel failed"),
            }
        }
        if next.is_none() {
            next = looks.recv().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use ag_store::{
        NewSession,
        fake::{FakeStore, MovableClock},
    };
    use ag_types::{RunKey, RunStatus, SessionId, SystemScope};
    use serde_json::json;

    use crate::{
        Extensions,
        testkit::{Ground, Node, Seed},
    };

    const SYSTEM: SystemScope = SystemScope::new("test");

    /// A node over a store whose time the test moves, and a run in the hands of somebody who does not listen.
    async fn held() -> (Node, Arc<MovableClock>, RunKey) {
        let clock = Arc::new(MovableClock::default());
        let ground = Ground {
            store: Arc::new(FakeStore::new(clock.clone())),
            ..Ground::default()
        };
        let node = Node::over(ground, |_| {}, |_| Extensions::default());
        let run = node
            .store_run(Seed {
                status: RunStatus::Running,
                ..Seed::default()
            })
            .await;
        let session = NewSession {
            id: SessionId(1),
            pool: "default".into(),
            node: "deaf".to_owned(),
        };
        node.store.open_session(&SYSTEM, session).await.expect("session");
        let key = RunKey {
            run,
            plane: node.scope.plane,
        };
        let claim = node.store.claim(&SYSTEM, SessionId(1), &[key], &[]).await;
        assert_eq!(claim.expect("claim").runs.len(), 1);
        let body = json!({"command_id": "c", "run_id": run.to_string(), "type": "cancel", "payload": {}});
        let answer = node.post("/api/gateway/commands", &body).await;
        assert_eq!(answer.json()["accepted"], true);
        (node, clock, key)
    }

    async fn ready(node: &Node, key: RunKey) -> bool {
        !node
            .store
            .ready_among(&SYSTEM, &[key])
            .await
            .expect("read")
            .is_empty()
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_whose_holder_ignores_its_cancel_is_taken_over() {
        let (node, clock, key) = held().await;
        assert_eq!(node.state.tasks().len(), 1);
        tokio::time::sleep(Duration::from_millis(1_400)).await;
        clock.advance(1_400_000);
        assert!(!ready(&node, key).await, "the holder has time left");
        clock.advance(200_000);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(
            ready(&node, key).await,
            "anybody may claim it, to apply the cancel"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_leaves_leaves_no_task() {
        let (node, _, _) = held().await;
        node.state.draining().cancel();
        node.state.tasks().close();
        let ended = tokio::time::timeout(Duration::from_millis(100), node.state.tasks().wait());
        assert!(ended.await.is_ok());
    }
}
