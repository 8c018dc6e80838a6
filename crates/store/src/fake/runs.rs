//! The write path of runs.

use std::collections::HashMap;

use ag_types::{RunId, RunKey, SessionId, SystemScope, TenantScope, Timestamp};
use async_trait::async_trait;

use super::{FakeStore, world::World};
use crate::{
    Beat, CandidateQuery, Claim, ClaimedRun, Commit, CommitOutcome, Mail, NewSession, PoolLoad, Result,
    RunStore, Segment, Start, StartOutcome, StoreError, Sweep, Woken,
};

/// Rows that one sweep takes.
const SWEEP_ROWS: usize = 500;

#[async_trait]
impl RunStore for FakeStore {
    async fn start(&self, scope: &TenantScope, start: Start) -> Result<StartOutcome> {
        Ok(self.world()?.start(scope.plane, &start, self.clock.now()))
    }

    async fn open_session(&self, _: &SystemScope, session: NewSession) -> Result<()> {
        self.world()?.leases.open_session(&session, self.clock.now());
        Ok(())
    }

    async fn renew_session(&self, _: &SystemScope, session: SessionId) -> Result<bool> {
        Ok(self.world()?.leases.renew_session(session, self.clock.now()))
    }

    async fn close_session(&self, _: &SystemScope, session: SessionId, clean: bool) -> Result<Vec<Woken>> {
        let (mut world, now) = (self.world()?, self.clock.now());
        world.leases.mark_dead(session);
        let held = world.leases.held_by(session);
        Ok(world.release(&held, !clean, now))
    }

    async fn claim(
        &self,
        _: &SystemScope,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        let (mut world, now) = (self.world()?, self.clock.now());
        if !world.leases.is_alive(session, now) {
            return Err(StoreError::SessionLost);
        }
        let known: HashMap<RunKey, i32> = known.iter().copied().collect();
        let runs = keys
            .iter()
            .filter_map(|key| world.claim(*key, session, known.get(key).copied()))
            .collect();
        Ok(Claim { now, runs })
    }

    async fn release(&self, _: &SystemScope, session: SessionId, key: RunKey, epoch: i64) -> Result<bool> {
        let mut world = self.world()?;
        let lease = world.leases.lease(&key);
        let held = lease.is_some_and(|lease| lease.session == session && lease.epoch == epoch);
        if held {
            world.release(&[key], false, self.clock.now());
        }
        Ok(held)
    }

    async fn note_driven(&self, _: &SystemScope, session: SessionId, runs: &[(RunKey, i64)]) -> Result<()> {
        let mut world = self.world()?;
        for (key, epoch) in runs {
            let lease = world.leases.lease(key);
            if lease.is_some_and(|lease| lease.session == session && lease.epoch == *epoch)
                && let Some(head) = world.runs.get_mut(key).and_then(|run| run.head.as_mut())
            {
                head.driven = true;
            }
        }
        Ok(())
    }

    async fn held_runs(&self, _: &SystemScope, session: SessionId) -> Result<Vec<(RunKey, i64)>> {
        Ok(self.world()?.leases.held_with_epochs(session))
    }

    async fn ready_among(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Woken>> {
        Ok(self.world()?.leases.ready_among(keys))
    }

    async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>> {
        let (mut world, now) = (self.world()?, self.clock.now());
        let overdue = world.leases.overdue_among(now, scope.plane, runs);
        Ok(world.release(&overdue, false, now))
    }

    async fn commit(&self, _: &SystemScope, commit: Commit) -> Result<CommitOutcome> {
        Ok(self.world()?.commit(&commit, self.clock.now()))
    }

    async fn read_mail(&self, _: &SystemScope, key: RunKey, after: i64) -> Result<Vec<Mail>> {
        let world = self.world()?;
        let mail = world
            .runs
            .get(&key)
            .map(|run| run.mail.as_slice())
            .unwrap_or_default();
        Ok(mail.iter().filter(|mail| mail.n > after).cloned().collect())
    }

    async fn candidates(&self, _: &SystemScope, query: CandidateQuery) -> Result<Vec<RunKey>> {
        Ok(self.world()?.leases.candidates(&query))
    }

    async fn beat(&self, _: &SystemScope, session: SessionId, pool: &str) -> Result<Beat> {
        let (world, now) = (self.world()?, self.clock.now());
        let heads = world.runs.values().filter_map(|run| run.head.as_ref());
        Ok(Beat {
            cancels: world.leases.cancels_of(session),
            next_wake: heads.filter_map(|head| head.wake_at).min(),
            session_expired: world.leases.any_expired(now),
            preempt_due: !world.leases.overdue(now, 1).is_empty(),
            oldest_ready: world.leases.oldest_ready(pool),
            now: Some(now),
        })
    }

    async fn pools(&self, _: &SystemScope) -> Result<Vec<PoolLoad>> {
        Ok(self.world()?.leases.pools(self.clock.now()))
    }

    async fn sweep(&self, _: &SystemScope, sweep: Sweep) -> Result<Vec<Woken>> {
        let (mut world, now) = (self.world()?, self.clock.now());
        Ok(match sweep {
            Sweep::Timers => world.ring_timers(now),
            Sweep::Sessions => {
                world.leases.expire_sessions(now);
                let orphans = world.leases.orphans(SWEEP_ROWS);
                world.release(&orphans, true, now)
            }
            Sweep::Cancels => {
                let overdue = world.leases.overdue(now, SWEEP_ROWS);
                world.release(&overdue, false, now)
            }
        })
    }

    async fn append_to_terminal(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>> {
        let mut world = self.world()?;
        let run = world.runs.get_mut(&RunKey {
            run,
            plane: scope.plane,
        });
        let Some(run) = run.filter(|run| run.columns.status.is_terminal()) else {
            return Ok(None);
        };
        let first = run.last_seq + 1;
        for line in lines {
            run.last_seq += 1;
            let lines = line.as_str().into();
            run.segments.push(Segment {
                first_seq: run.last_seq,
                last_seq: run.last_seq,
                lines,
            });
        }
        Ok(Some(first))
    }

    async fn purge_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        let mut world = self.world()?;
        let (mut count, mut records, mut commands) = (0, 0, 0);
        for run in runs {
            let key = RunKey {
                run: *run,
                plane: scope.plane,
            };
            world.leases.forget(&key);
            if let Some(run) = world.runs.remove(&key) {
                count += 1;
                records += run
                    .segments
                    .iter()
                    .map(|s| (s.last_seq - s.first_seq + 1).unsigned_abs())
                    .sum::<u64>();
            }
            let before = world.commands.len();
            let text = run.to_string();
            for (plane, row) in &mut world.memory {
                if *plane == scope.plane && row.owner_id() == text {
                    // Numbers are not used again.
                    *plane = super::memory::NO_PLANE;
                }
            }
            world
                .commands
                .retain(|(plane, _), command| *plane != scope.plane || command.run_id != text);
            commands += (before - world.commands.len()) as u64;
            world
                .start_keys
                .retain(|(plane, _), key| *plane != scope.plane || key.run != *run);
        }
        Ok((count, records, commands))
    }
}

impl World {
    fn claim(&mut self, key: RunKey, session: SessionId, known: Option<i32>) -> Option<ClaimedRun> {
        self.leases.take_ready(&key, session)?;
        let run = self.runs.get(&key)?;
        let head = run.head.as_ref()?;
        Some(ClaimedRun {
            key,
            epoch: self.leases.set_epoch(&key, session, run.epoch)?,
            mail_in: head.mail_in,
            crashes: head.crashes,
            rev: run.rev,
            last_seq: run.last_seq,
            head: run.identity.clone(),
            pool: head.pool.clone(),
            bundle_sha256: run.bundle_sha256.clone(),
            columns: (known != Some(run.rev)).then(|| run.columns.clone()),
        })
    }

    fn ring_timers(&mut self, now: Timestamp) -> Vec<Woken> {
        let mut due = Vec::new();
        for (key, run) in &mut self.runs {
            if let Some(head) = run
                .head
                .as_mut()
                .filter(|head| head.wake_at.is_some_and(|at| at <= now))
            {
                due.push((head.wake_at.take(), *key));
                head.ready_at.get_or_insert(now);
            }
        }
        due.sort_unstable();
        let mut woken = Vec::new();
        for (_, key) in due {
            self.announce(key);
            let pool = self
                .runs
                .get(&key)
                .and_then(|run| run.head.as_ref())
                .map(|head| head.pool.clone());
            if let (None, Some(pool)) = (self.leases.lease(&key), pool) {
                woken.push(Woken { key, pool });
            }
        }
        woken
    }
}
