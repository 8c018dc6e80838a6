//! Commits: fence, state, mail, rest.

use ag_store::{Commit, CommitOutcome, OutMail, Placement, Rest};
use ag_types::RunKey;

use super::{Letter, Plan};
use crate::{
    db::Value,
    writer::{
        state::{RunFacts, State},
        statements::Statement,
    },
};

impl Plan {
    pub(super) fn commit(&mut self, state: &mut State, commit: &Commit) -> CommitOutcome {
        let mail_in = match fence(state, commit) {
            Ok(mail_in) => mail_in,
            Err(outcome) => return outcome,
        };
        let unread = commit.rest == Rest::Terminal && mail_in > commit.seen;
        if unread
            || commit
                .mail
                .iter()
                .any(|mail| mail.kind.is_tree() && !reaches(state, commit, mail))
        {
            return CommitOutcome::Stale { mail_in };
        }
        self.state_and_records(state, commit);
        if commit.seen > 0 && mail_in > 0 {
            let (run, plane) = (commit.key.run.into(), commit.key.plane.into());
            self.writes
                .add(Statement::MailRead, [run, plane, commit.seen.into()]);
        }
        for mail in &commit.mail {
            let key = RunKey {
                run: mail.to,
                plane: commit.key.plane,
            };
            if key == commit.key && commit.rest == Rest::Terminal {
                continue;
            }
            let command_id = mail.command_id.as_ref().map(Value::from);
            self.deliver(
                state,
                key,
                Letter {
                    kind: mail.kind,
                    body: &mail.body,
                    command_id,
                },
            );
        }
        rest(state, commit)
    }

    fn state_and_records(&mut self, state: &mut State, commit: &Commit) {
        let plane = commit.key.plane;
        let facts = RunFacts {
            rev: commit.rev + 1,
            epoch: commit.epoch,
        };
        self.update_run(commit, facts);
        state.entry(commit.key).run = Some(facts);
        self.ledger(commit.key, &commit.segments);
        for child in &commit.children {
            self.new_run(state, plane, child);
        }
        self.owners(plane, &commit.owners);
        self.artifacts(plane, &commit.artifacts);
        self.memory(plane, &commit.memory);
        for (command_id, outcome) in &commit.outcomes {
            self.writes.add(
                Statement::Outcome,
                [outcome.into(), plane.into(), command_id.into()],
            );
        }
    }
}

/// The number of the last mail when the writer has authority; else the answer.
fn fence(state: &State, commit: &Commit) -> Result<i64, CommitOutcome> {
    let entry = state.entries.get(&commit.key).ok_or(CommitOutcome::Lost)?;
    let run = entry.run.ok_or(CommitOutcome::Lost)?;
    let mail_in = entry.head.as_ref().map_or(commit.seen, |head| head.mail_in);
    let owned = entry
        .lease
        .is_some_and(|lease| lease.session == commit.session && lease.epoch == commit.epoch);
    if owned && entry.head.is_some() && run.rev == commit.rev {
        return Ok(mail_in);
    }
    // The same call again after an unknown outcome: it had been applied.
    let applied = run.epoch == commit.epoch && run.rev.checked_sub(1) == Some(commit.rev);
    Err(if applied {
        CommitOutcome::Committed { mail_in }
    } else {
        CommitOutcome::Lost
    })
}

/// True if the addressee lives after this commit.
fn reaches(state: &State, commit: &Commit, mail: &OutMail) -> bool {
    if mail.to == commit.key.run {
        return commit.rest != Rest::Terminal;
    }
    if let Some(child) = commit.children.iter().find(|child| child.head.run_id == mail.to) {
        return child.placement != Placement::Terminal;
    }
    state.is_live(&RunKey {
        run: mail.to,
        plane: commit.key.plane,
    })
}

/// Leaves the run as the commit says; mail that it did not see makes it ready again.
fn rest(state: &mut State, commit: &Commit) -> CommitOutcome {
    let now = state.now;
    let entry = state.entry(commit.key);
    let Some(head) = &mut entry.head else {
        return CommitOutcome::Lost;
    };
    let mail_in = head.mail_in;
    if let Some(pool) = &commit.pool {
        entry.changed |= head.pool != *pool;
        head.pool = pool.clone();
    }
    if (commit.progress || commit.rest != Rest::Keep) && head.crashes != 0 {
        head.crashes = 0;
        entry.changed = true;
    }
    if commit.rest != Rest::Keep {
        head.driven_epoch = None;
    }
    match commit.rest {
        Rest::Keep => return CommitOutcome::Committed { mail_in },
        Rest::Wait { wake_at } => {
            head.wake_at = wake_at;
            head.ready_at = (mail_in > commit.seen).then_some(now);
        }
        Rest::Again => {
            head.wake_at = None;
            head.ready_at = Some(now);
        }
        Rest::Terminal => entry.head = None,
    }
    entry.changed = true;
    entry.moved = true;
    entry.lease = None;
    CommitOutcome::Committed { mail_in }
}
