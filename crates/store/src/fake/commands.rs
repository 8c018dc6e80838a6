//! Client commands.

use ag_types::{PlaneId, RunKey, TenantScope, Timestamp};
use async_trait::async_trait;

use super::{FakeStore, world::World};
use crate::{
    CommandRow, CommandStore, MailKind, NewCommand, PostOutcome, Result, leases::PREEMPT_AFTER_MICROS,
};

#[async_trait]
impl CommandStore for FakeStore {
    async fn post_command(&self, scope: &TenantScope, command: NewCommand) -> Result<PostOutcome> {
        Ok(self.world()?.post(scope.plane, &command, self.clock.now()))
    }

    async fn command(&self, scope: &TenantScope, command_id: &str) -> Result<Option<CommandRow>> {
        let world = self.world()?;
        let Some(stored) = world.commands.get(&(scope.plane, command_id.to_owned())) else {
            return Ok(None);
        };
        let runs = world.runs.iter().filter(|(key, _)| key.plane == scope.plane);
        let mut mail = runs.flat_map(|(_, run)| &run.mail);
        let pending = mail.any(|mail| mail.command_id.as_deref() == Some(command_id));
        Ok(Some(CommandRow {
            pending,
            ..stored.clone()
        }))
    }
}

impl World {
    fn post(&mut self, plane: PlaneId, command: &NewCommand, now: Timestamp) -> PostOutcome {
        let id = (plane, command.command_id.clone());
        if let Some(stored) = self.commands.get(&id) {
            return PostOutcome::Duplicate { seq: stored.seq };
        }
        let targets = if command.outcome.is_none() {
            command.targets.as_slice()
        } else {
            &[]
        };
        let key = |run| RunKey { run, plane };
        if targets
            .iter()
            .any(|target| target.kind.is_tree() && !self.is_live(&key(target.run)))
        {
            return PostOutcome::Stale;
        }
        self.counters(plane).command_seq += 1;
        let seq = self.counters(plane).command_seq;
        let (mut woken, mut preempt, mut delivered) = (Vec::new(), Vec::new(), false);
        for target in targets {
            let key = key(target.run);
            let command_id = Some(command.command_id.as_str().into());
            let Some(reached) = self.deliver(key, target.kind, &target.body, command_id, now) else {
                continue;
            };
            delivered = true;
            match self.leases.lease(&key) {
                None => woken.push(reached),
                Some(lease) if target.kind == MailKind::Cancel => {
                    self.leases
                        .set_preempt(key, now.plus_micros(PREEMPT_AFTER_MICROS));
                    preempt.push((lease.session, target.run));
                }
                Some(_) => {}
            }
        }
        let ended = !targets.is_empty() && !delivered;
        let row = CommandRow {
            seq,
            command_id: command.command_id.clone(),
            run_id: command.run_id.clone(),
            kind: command.kind.clone(),
            payload: command.payload.clone(),
            client_id: command.client_id.clone(),
            ts: command.ts.clone(),
            outcome: command
                .outcome
                .clone()
                .or_else(|| ended.then(|| "run has ended".to_owned())),
            pending: false,
        };
        self.commands.insert(id, row);
        PostOutcome::Accepted { seq, woken, preempt }
    }
}
