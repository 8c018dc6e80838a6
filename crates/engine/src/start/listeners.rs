//! Listeners, which start with the run they belong to.

use ag_kernel::{HostAnswers, Stepped, Workflow};
use ag_store::{NewRun, Placement};
use ag_telemetry::traces;
use ag_types::{Object, RunHead, RunState, RunStatus, TenantScope, Timestamp};

use super::{StartError, Starter, foreign_types, resolve::Resolved};
use crate::codec;

/// Steps a listener may take to its first wait (bundles spec §5).
const LISTENER_STEPS: u32 = 10;

impl Starter {
    /// One child run per `on_event` node, brought to its wait.
    pub(super) async fn listeners(
        &self,
        scope: &TenantScope,
        resolved: &Resolved,
        root: &RunState,
        now: Timestamp,
    ) -> Result<Vec<NewRun>, StartError> {
        let Some(sha256) = resolved.sha256.as_deref() else {
            return Ok(vec![]);
        };
        let deps = &self.deps;
        let mut out = Vec::new();
        let listeners = deps
            .workflows
            .listeners(scope, &resolved.workflow_id, sha256)
            .await?;
        for workflow_id in listeners.iter() {
            let workflow = self.workflow(scope, workflow_id, Some(sha256)).await?;
            let kept = ["_runtime", "_limits"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), root.vars.get(key)?.clone())));
            let state = RunState {
                head: RunHead {
                    run_id: deps.ids.run_id(),
                    workflow_id: workflow_id.as_str().into(),
                    parent_run_id: Some(root.head.run_id),
                    created_at: now,
                    ..root.head.clone()
                },
                current_node: workflow.entry_node().to_owned(),
                vars: kept.collect::<Object>(),
                status: RunStatus::Running,
                waiting: None,
                output: None,
                error: None,
                updated_at: now,
            };
            out.push(self.listener(scope, resolved, state, &*workflow));
        }
        Ok(out)
    }

    fn listener(
        &self,
        scope: &TenantScope,
        resolved: &Resolved,
        state: RunState,
        workflow: &dyn Workflow,
    ) -> NewRun {
        let deps = &self.deps;
        let mut held = self.hold(scope, resolved, state, None);
        held.tick.aux.foreign_types = foreign_types(workflow);
        held.tick.aux.traceparent = traces::traceparent();
        let answers = HostAnswers::default();
        for _ in 0..LISTENER_STEPS {
            match held.tick.step(workflow, &deps.env(deps.clock.now(), &answers)) {
                Ok(Stepped::Moved) => {}
                _ => break,
            }
        }
        let writes = held.take_writes();
        let placement = match held.tick.run.status {
            RunStatus::Waiting => Placement::Rest {
                wake_at: crate::commit::wake_at(&held),
            },
            RunStatus::Running => Placement::Ready,
            RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Placement::Terminal,
        };
        codec::add_counts(&mut held.counters, writes.counts);
        NewRun {
            head: held.tick.run.head.clone(),
            pool: held.pool.clone(),
            bundle_sha256: held.bundle_sha256.clone(),
            columns: codec::encode(&held.tick.run, &held.tick.aux, held.counters),
            segments: codec::segments(&writes.records, 0),
            last_seq: writes.records.len() as i64,
            placement,
        }
    }
}
