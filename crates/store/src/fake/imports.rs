//! Bulk writes.

use std::{
    collections::{HashSet, hash_map::Entry},
    sync::Arc,
};

use ag_types::{PlaneId, RunId, RunKey, SystemScope, TenantScope};
use async_trait::async_trait;

use super::{
    FakeStore,
    world::{Head, World},
};
use crate::{
    ImportBatch, ImportCounts, ImportStore, ImportWake, MemoryRow, Placement, Result, Segment, SpanEntry,
};

#[async_trait]
impl ImportStore for FakeStore {
    async fn in_use(&self, _: &SystemScope) -> Result<Option<String>> {
        Ok(None)
    }

    async fn stored_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<HashSet<RunId>> {
        let world = self.world()?;
        let stored = |run: &&RunId| world.runs.contains_key(&key(scope.plane, **run));
        Ok(runs.iter().filter(stored).copied().collect())
    }

    async fn import(&self, scope: &TenantScope, batch: ImportBatch) -> Result<ImportCounts> {
        Ok(self.world()?.import(scope.plane, batch))
    }

    async fn import_heads(&self, scope: &TenantScope, heads: &[(RunId, Arc<str>)]) -> Result<u64> {
        let mut world = self.world()?;
        let mut made = 0;
        for (run, pool) in heads {
            let Some(run) = world.runs.get_mut(&key(scope.plane, *run)) else {
                continue;
            };
            if run.head.is_none() && !run.columns.status.is_terminal() {
                run.head = Some(Head {
                    pool: pool.clone(),
                    mail_in: 0,
                    ready_at: None,
                    wake_at: None,
                    crashes: 0,
                    driven: false,
                });
                made += 1;
            }
        }
        Ok(made)
    }

    async fn import_wakes(&self, scope: &TenantScope, wakes: &[ImportWake]) -> Result<u64> {
        let (mut world, now) = (self.world()?, self.clock.now());
        let mut changed = 0;
        for wake in wakes {
            let key = key(scope.plane, wake.run);
            let Some(run) = world.runs.get_mut(&key).filter(|run| run.rev == 0) else {
                continue;
            };
            let mut unread: Vec<_> = run.mail.iter().map(|mail| mail.kind).collect();
            let Some(head) = run.head.as_mut() else { continue };
            let before = (head.mail_in, head.ready_at, head.wake_at);
            head.wake_at = head.wake_at.or(wake.wake_at);
            if wake.ready {
                head.ready_at.get_or_insert(now);
            }
            for (kind, body) in &wake.mail {
                if !unread.contains(kind) {
                    unread.push(*kind);
                    world.deliver(key, *kind, body, None, now);
                }
            }
            world.announce(key);
            let head = world.runs.get(&key).and_then(|run| run.head.as_ref());
            let after = head.map(|head| (head.mail_in, head.ready_at, head.wake_at));
            changed += u64::from(after != Some(before));
        }
        Ok(changed)
    }

    async fn raise_command_seq(&self, scope: &TenantScope, seq: i64) -> Result<()> {
        let mut world = self.world()?;
        let counters = world.counters(scope.plane);
        counters.command_seq = counters.command_seq.max(seq);
        Ok(())
    }
}

fn key(plane: PlaneId, run: RunId) -> RunKey {
    RunKey { run, plane }
}

impl World {
    fn import(&mut self, plane: PlaneId, batch: ImportBatch) -> ImportCounts {
        let mut counts = ImportCounts::default();
        let mut fresh: HashSet<String> = HashSet::new();
        for (run, segments) in batch.ledgers {
            if !self.runs.contains_key(&key(plane, run)) {
                self.take_ledger(key(plane, run), segments);
            }
        }
        for mut new in batch.runs {
            let id = key(plane, new.head.run_id);
            if self.runs.contains_key(&id) {
                continue;
            }
            self.take_ledger(id, std::mem::take(&mut new.segments));
            new.segments = self.half_ledgers.remove(&id).unwrap_or_default();
            // Not yet in motion, whatever its status.
            new.placement = Placement::Terminal;
            self.insert_run(plane, &new, new.columns.updated_at);
            fresh.insert(new.head.run_id.to_string());
            counts.runs += 1;
        }
        for (command, _) in batch.commands {
            let id = (plane, command.command_id.clone());
            counts.commands += u64::from(!self.commands.contains_key(&id));
            self.commands.entry(id).or_insert(command);
        }
        for row in batch.artifacts {
            let id = (plane, row.artifact_id.clone());
            counts.artifacts += u64::from(!self.artifacts.contains_key(&id));
            self.artifacts.entry(id).or_insert(row);
        }
        for owner in batch.owners {
            if let Entry::Vacant(place) = self.owners.entry((plane, owner.owner_id.clone())) {
                counts.owners += 1;
                fresh.insert(owner.owner_id.clone());
                place.insert(owner);
            }
        }
        let spans = batch.spans.into_iter();
        let spans: Vec<MemoryRow> = spans
            .filter(|entry| fresh.contains(&entry.owner_id) || !self.holds_span(plane, entry))
            .map(MemoryRow::Span)
            .collect();
        counts.spans = spans.len() as u64;
        self.memory.extend(spans.into_iter().map(|row| (plane, row)));
        for statement in batch.statements {
            let is_same = |(at, row): &(PlaneId, MemoryRow)| match row {
                MemoryRow::Assertion(known) => *at == plane && known.assertion_id == statement.assertion_id,
                MemoryRow::Span(_) => false,
            };
            if !self.memory.iter().any(is_same) {
                counts.statements += 1;
                let row = MemoryRow::Assertion(Box::new(statement));
                self.memory.push((plane, row));
            }
        }
        for (kind, document) in batch.documents {
            let id = (plane, kind.as_str(), document.id.clone());
            if let std::collections::btree_map::Entry::Vacant(free) = self.documents.entry(id) {
                counts.documents += 1;
                free.insert(document);
            }
        }
        self.counters(plane).generation += i64::from(counts.documents > 0);
        counts
    }

    /// Segments of a run that comes later; a ledger that begins again replaces what an interrupted import left.
    fn take_ledger(&mut self, run: RunKey, segments: Vec<Segment>) {
        let half = self.half_ledgers.entry(run).or_default();
        if segments.first().is_some_and(|segment| segment.first_seq == 1) {
            half.clear();
        }
        half.extend(segments);
    }

    fn holds_span(&self, plane: PlaneId, entry: &SpanEntry) -> bool {
        self.memory.iter().any(|(at, row)| match row {
            MemoryRow::Span(known) => {
                *at == plane && known.owner_id == entry.owner_id && known.span_id == entry.span_id
            }
            MemoryRow::Assertion(_) => false,
        })
    }
}
