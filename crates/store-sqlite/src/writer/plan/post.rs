//! Client commands.

use ag_store::{MailKind, NewCommand, PostOutcome, Woken};
use ag_types::{PlaneId, RunKey};

use super::{Letter, Plan};
use crate::{
    db::Value,
    writer::{state::State, statements::Statement},
};

/// Outcome of a command whose targets have all ended between look-up and posting.
const ENDED: &str = "run has ended";

impl Plan {
    pub(super) fn post(&mut self, state: &mut State, plane: PlaneId, command: &NewCommand) -> PostOutcome {
        let id = (plane, command.command_id.clone());
        if let Some(seq) = state.commands.get(&id) {
            return PostOutcome::Duplicate { seq: *seq };
        }
        let targets = if command.outcome.is_none() {
            command.targets.as_slice()
        } else {
            &[]
        };
        let key = |run| RunKey { run, plane };
        if targets
            .iter()
            .any(|target| target.kind.is_tree() && !state.is_live(&key(target.run)))
        {
            return PostOutcome::Stale;
        }
        let seq = state.planes.get_mut(&plane).map_or(1, |facts| {
            facts.command_seq += 1;
            facts.command_seq
        });
        state.commands.insert(id, seq);

        let (mut woken, mut preempt, mut delivered) = (Vec::new(), Vec::new(), false);
        for target in targets {
            let key = key(target.run);
            let command_id = Some((&command.command_id).into());
            if !self.deliver(
                state,
                key,
                Letter {
                    kind: target.kind,
                    body: &target.body,
                    command_id,
                },
            ) {
                continue;
            }
            delivered = true;
            let entry = state.entry(key);
            match (entry.lease, &entry.head) {
                (Some(lease), _) if target.kind == MailKind::Cancel => {
                    preempt.push((lease.session, target.run));
                    self.preempts.push(key);
                }
                (None, Some(head)) => woken.push(Woken {
                    key,
                    pool: head.pool.clone(),
                }),
                _ => {}
            }
        }
        let outcome = match &command.outcome {
            Some(outcome) => Some(outcome.as_str()),
            None => (!targets.is_empty() && !delivered).then_some(ENDED),
        };
        self.writes.add(
            Statement::Command,
            [
                plane.into(),
                (&command.command_id).into(),
                seq.into(),
                (&command.run_id).into(),
                (&command.kind).into(),
                (&command.payload).into(),
                Value::opt(command.client_id.as_ref()),
                (&command.ts).into(),
                command.now.into(),
                outcome.map_or(Value::Null, Value::text),
            ],
        );
        PostOutcome::Accepted { seq, woken, preempt }
    }
}
