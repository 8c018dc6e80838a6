//! Reads of runs and ledgers.

use std::collections::VecDeque;

use ag_types::{RunId, RunKey, RunStatus, SystemScope, TenantScope, WaitReason};
use async_trait::async_trait;

use super::{
    FakeStore,
    world::{Run, World},
};
use crate::{LedgerPage, Listener, RelatedRun, Result, RunFilter, RunListRow, RunReads, RunRow, Tail};

/// Listeners of one key that an event reaches at most.
const LISTENERS: usize = 10_000;

#[async_trait]
impl RunReads for FakeStore {
    async fn run(&self, scope: &TenantScope, run: RunId) -> Result<Option<RunRow>> {
        let world = self.world()?;
        Ok(world
            .runs
            .get(&RunKey {
                run,
                plane: scope.plane,
            })
            .map(|run| RunRow {
                head: run.identity.clone(),
                columns: run.columns.clone(),
                rev: run.rev,
                last_seq: run.last_seq,
                bundle_sha256: run.bundle_sha256.clone(),
            }))
    }

    async fn runs(&self, scope: &TenantScope, filter: RunFilter) -> Result<Vec<RunListRow>> {
        let world = self.world()?;
        let mut runs: Vec<&Run> = world
            .plane_runs(scope)
            .filter(|run| matches(run, &filter))
            .collect();
        runs.sort_by_key(|run| (std::cmp::Reverse(run.columns.updated_at), run.identity.run_id));
        Ok(runs.into_iter().take(filter.limit).map(list_row).collect())
    }

    async fn children(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>> {
        Ok(self
            .world()?
            .children(scope, run)
            .into_iter()
            .map(related)
            .collect())
    }

    async fn descendants(&self, scope: &TenantScope, run: RunId, limit: usize) -> Result<Vec<RelatedRun>> {
        let world = self.world()?;
        let (mut found, mut level) = (Vec::new(), vec![run]);
        while !level.is_empty() && found.len() < limit {
            let mut next: Vec<&Run> = level.iter().flat_map(|run| world.children(scope, *run)).collect();
            next.sort_by_key(|run| (run.identity.created_at, run.identity.run_id));
            level = next.iter().map(|run| run.identity.run_id).collect();
            found.extend(next.into_iter().map(related));
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn live_below(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>> {
        let world = self.world()?;
        let (mut live, mut ended) = (Vec::new(), VecDeque::from([run]));
        while let Some(run) = ended.pop_front() {
            for child in world.children(scope, run) {
                if child.columns.status.is_terminal() {
                    ended.push_back(child.identity.run_id);
                } else {
                    live.push(child.identity.run_id);
                }
            }
        }
        live.sort_unstable();
        Ok(live)
    }

    async fn ledger(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        let world = self.world()?;
        let end = after.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        Ok(world
            .runs
            .get(&RunKey {
                run,
                plane: scope.plane,
            })
            .map(|run| LedgerPage {
                status: run.columns.status,
                last_seq: run.last_seq,
                segments: run
                    .segments
                    .iter()
                    .filter(|segment| segment.last_seq > after && segment.first_seq <= end)
                    .cloned()
                    .collect(),
                after,
                limit,
            }))
    }

    async fn tails(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Tail>> {
        let world = self.world()?;
        let tail = |key: &RunKey| {
            let run = world.runs.get(key)?;
            Some(Tail {
                key: *key,
                last_seq: run.last_seq,
                status: run.columns.status,
            })
        };
        Ok(keys.iter().filter_map(tail).collect())
    }

    async fn listeners(&self, scope: &TenantScope, wait_key: &str) -> Result<Vec<Listener>> {
        let world = self.world()?;
        let able = |run: &&Run| {
            let columns = &run.columns;
            waits_for_event(run)
                && columns.wait_key.as_deref() == Some(wait_key)
                && !columns.paused
                && !run.mail.iter().any(|mail| mail.kind.ends_wait())
        };
        Ok(world.listeners(scope, able, LISTENERS))
    }

    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>> {
        let world = self.world()?;
        let mine =
            |run: &&Run| waits_for_event(run) && run.identity.session_id.as_deref() == Some(session_id);
        Ok(world.listeners(scope, mine, limit))
    }
}

impl World {
    fn plane_runs(&self, scope: &TenantScope) -> impl Iterator<Item = &Run> {
        let plane = scope.plane;
        self.runs
            .iter()
            .filter(move |(key, _)| key.plane == plane)
            .map(|(_, run)| run)
    }

    fn children(&self, scope: &TenantScope, parent: RunId) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self
            .plane_runs(scope)
            .filter(|run| run.identity.parent_run_id == Some(parent))
            .collect();
        runs.sort_by_key(|run| (run.identity.created_at, run.identity.run_id));
        runs
    }

    fn listeners(&self, scope: &TenantScope, wanted: impl Fn(&&Run) -> bool, limit: usize) -> Vec<Listener> {
        let mut runs: Vec<&Run> = self.plane_runs(scope).filter(wanted).collect();
        runs.sort_by_key(|run| (run.identity.created_at, run.identity.run_id));
        let listener = |run: &Run| {
            let wait_key = run.columns.wait_key.as_deref()?.into();
            Some(Listener {
                run_id: run.identity.run_id,
                workflow_id: run.identity.workflow_id.clone(),
                wait_key,
            })
        };
        runs.into_iter().filter_map(listener).take(limit).collect()
    }
}

fn waits_for_event(run: &Run) -> bool {
    run.columns.status == RunStatus::Waiting && run.columns.wait_reason == Some(WaitReason::Event)
}

fn matches(run: &Run, filter: &RunFilter) -> bool {
    let workflow = match &filter.workflow_id {
        Some(wanted) => *run.identity.workflow_id == **wanted,
        None => !run.identity.workflow_id.starts_with("__"),
    };
    workflow
        && filter.status.is_none_or(|status| run.columns.status == status)
        && filter
            .session_id
            .as_ref()
            .is_none_or(|id| run.identity.session_id.as_deref() == Some(id))
        && (!filter.root_only || run.identity.parent_run_id.is_none())
        && (filter.include_drafts || !is_draft(run))
        && filter
            .created_until
            .is_none_or(|until| run.identity.created_at <= until)
}

fn is_draft(run: &Run) -> bool {
    let lifecycle = run.columns.lifecycle.as_deref();
    let parsed = lifecycle.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    parsed.is_some_and(|lifecycle| {
        lifecycle.get("purpose").and_then(|purpose| purpose.as_str()) == Some("draft_test")
    })
}

fn list_row(run: &Run) -> RunListRow {
    RunListRow {
        head: run.identity.clone(),
        status: run.columns.status,
        wait_reason: run.columns.wait_reason,
        wait_until: run.columns.wait_until,
        lifecycle: run.columns.lifecycle.clone(),
        updated_at: run.columns.updated_at,
        last_seq: run.last_seq,
        counters: run.columns.counters,
    }
}

fn related(run: &Run) -> RelatedRun {
    RelatedRun {
        head: run.identity.clone(),
        status: run.columns.status,
        last_seq: run.last_seq,
    }
}
