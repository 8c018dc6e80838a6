//! The write set of a start, its commit and what follows.

use std::sync::Arc;

use ag_kernel::EffectRequest;
use ag_store::{NewRun, Placement, Start, StartOutcome};
use ag_telemetry::metrics::{RUN_START, RUNS_ENDED, store_operation};
use ag_types::{RunId, RunKey, RunStatus, TenantScope, Timestamp};
use tracing::Instrument as _;

use super::{Slot, StartError, StartRequest, Starter, resolve::Resolved};
use crate::{Deps, Held, codec, held::Pending};

/// What became of one attempt.
pub(super) enum Attempt {
    Done(RunId),
    Stale,
}

impl Starter {
    pub(super) async fn write_set(
        &self,
        held: &mut Held,
        request: &StartRequest,
        resolved: &Resolved,
        slot: Option<&dyn Slot>,
        now: Timestamp,
    ) -> Result<(Start, Placement), StartError> {
        let deps = &self.deps;
        deps.settle_writes(held).await?;
        held.tick.run.updated_at = deps.clock.now();
        let place = match held.tick.run.status {
            RunStatus::Running => match slot {
                Some(slot) => Placement::Held {
                    session: slot.session(),
                    epoch: 1,
                },
                None => Placement::Ready,
            },
            RunStatus::Waiting => Placement::Rest {
                wake_at: crate::commit::wake_at(held),
            },
            RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Placement::Terminal,
        };
        let segments = codec::segments(&held.records, 0);
        let last_seq = held.records.len() as i64;
        let root = NewRun {
            head: held.tick.run.head.clone(),
            pool: held.pool.clone(),
            bundle_sha256: held.bundle_sha256.clone(),
            columns: codec::encode(&held.tick.run, &held.tick.aux, held.counters),
            segments,
            last_seq,
            placement: place,
        };
        let mut runs = vec![root];
        runs.extend(
            held.pending
                .children
                .iter()
                .map(|child| deps.new_child(&held.pool, child)),
        );
        let mut owners = request.owners.clone();
        owners.extend(held.pending.owners.iter().cloned());
        let start = Start {
            key: request.key.clone(),
            generation: resolved.registry.as_ref().map(|registry| registry.generation),
            runs,
            artifacts: held.pending.artifacts.clone(),
            owners,
            memory: held.pending.memory.clone(),
            mail: held.pending.mail.clone(),
            now,
        };
        Ok((start, place))
    }
}

/// A start whose first tick is done, about to be committed.
pub(super) struct Prepared {
    pub(super) start: Start,
    pub(super) held: Box<Held>,
    pub(super) slot: Option<Box<dyn Slot>>,
    pub(super) place: Placement,
    pub(super) pending: Option<EffectRequest>,
}

impl Prepared {
    pub(super) async fn finish(self, deps: Arc<Deps>, scope: TenantScope) -> Result<Attempt, StartError> {
        let Self {
            start,
            mut held,
            slot,
            place,
            pending,
        } = self;
        let more = start.runs.len() > 1;
        let starting = store_operation("start", deps.store.start(&scope, start))
            .instrument(tracing::info_span!("commit", rest = "start"));
        match starting.await? {
            StartOutcome::Created => ag_failpoints::hit("start.before_ack"),
            StartOutcome::Existing(run) => return Ok(Attempt::Done(run)),
            StartOutcome::KeyConflict => return Err(StartError::KeyConflict),
            StartOutcome::StaleGeneration | StartOutcome::Stale => return Ok(Attempt::Stale),
        }
        if !held.records.is_empty() {
            let age = held
                .tick
                .run
                .updated_at
                .micros_since(held.tick.run.head.created_at);
            RUN_START.with([]).record(age.max(0) as f64 / 1e6);
        }
        if matches!(place, Placement::Terminal) {
            RUNS_ENDED.with([held.tick.run.status.as_str()]).increment(1);
        }
        let (run_id, pool) = (held.key.run, held.pool.clone());
        if more {
            let children: Vec<RunKey> = std::mem::take(&mut held.pending.children)
                .iter()
                .map(|child| RunKey {
                    run: child.state.head.run_id,
                    plane: held.key.plane,
                })
                .collect();
            if !children.is_empty() {
                deps.bell.ring(&pool, &children).await;
            }
        }
        match (place, slot) {
            (Placement::Held { .. }, Some(slot)) => {
                held.last_seq += held.records.len() as i64;
                held.records.clear();
                held.pending = Pending::default();
                slot.adopt(held, pending);
            }
            (Placement::Rest { wake_at: Some(due) }, Some(slot)) => slot.timer(due),
            (Placement::Ready, _) => deps.bell.ring(&pool, &[held.key]).await,
            _ => {}
        }
        Ok(Attempt::Done(run_id))
    }
}
