//! Commits.

use ag_types::{RunKey, Timestamp};

use super::world::World;
use crate::{Commit, CommitOutcome, OutMail, Placement, Rest};

impl World {
    pub(super) fn commit(&mut self, commit: &Commit, now: Timestamp) -> CommitOutcome {
        let mail_in = match self.fence(commit) {
            Ok(mail_in) => mail_in,
            Err(outcome) => return outcome,
        };
        let unread = commit.rest == Rest::Terminal && mail_in > commit.seen;
        if unread
            || commit
                .mail
                .iter()
                .any(|mail| mail.kind.is_tree() && !self.commit_reaches(commit, mail))
        {
            return CommitOutcome::Stale { mail_in };
        }
        let plane = commit.key.plane;
        if let Some(run) = self.runs.get_mut(&commit.key) {
            run.columns = commit.columns.clone();
            run.rev = commit.rev + 1;
            run.epoch = commit.epoch;
            run.last_seq = commit.last_seq;
            run.segments.extend(commit.segments.iter().cloned());
            run.mail.retain(|mail| mail.n > commit.seen);
        }
        for child in &commit.children {
            self.insert_run(plane, child, now);
        }
        for owner in &commit.owners {
            self.owners
                .entry((plane, owner.owner_id.clone()))
                .or_insert_with(|| owner.clone());
        }
        self.memory
            .extend(commit.memory.iter().map(|row| (plane, row.clone())));
        for row in &commit.artifacts {
            self.artifacts
                .insert((plane, row.artifact_id.clone()), row.clone());
        }
        for (command_id, outcome) in &commit.outcomes {
            if let Some(command) = self.commands.get_mut(&(plane, command_id.to_string())) {
                command.outcome = Some(outcome.clone());
            }
        }
        for mail in &commit.mail {
            let key = RunKey { run: mail.to, plane };
            if key != commit.key || commit.rest != Rest::Terminal {
                self.deliver(key, mail.kind, &mail.body, mail.command_id.clone(), now);
            }
        }
        self.rest(commit, now)
    }

    fn fence(&self, commit: &Commit) -> Result<i64, CommitOutcome> {
        let run = self.runs.get(&commit.key).ok_or(CommitOutcome::Lost)?;
        let mail_in = run.head.as_ref().map_or(commit.seen, |head| head.mail_in);
        let lease = self.leases.lease(&commit.key);
        let owned = lease.is_some_and(|lease| lease.session == commit.session && lease.epoch == commit.epoch);
        if owned && run.rev == commit.rev {
            return Ok(mail_in);
        }
        let applied = run.epoch == commit.epoch && run.rev.checked_sub(1) == Some(commit.rev);
        Err(if applied {
            CommitOutcome::Committed { mail_in }
        } else {
            CommitOutcome::Lost
        })
    }

    fn commit_reaches(&self, commit: &Commit, mail: &OutMail) -> bool {
        if mail.to == commit.key.run {
            return commit.rest != Rest::Terminal;
        }
        match commit.children.iter().find(|child| child.head.run_id == mail.to) {
            Some(child) => child.placement != Placement::Terminal,
            None => self.is_live(&RunKey {
                run: mail.to,
                plane: commit.key.plane,
            }),
        }
    }

    fn rest(&mut self, commit: &Commit, now: Timestamp) -> CommitOutcome {
        let Some(run) = self.runs.get_mut(&commit.key) else {
            return CommitOutcome::Lost;
        };
        let Some(head) = &mut run.head else {
            return CommitOutcome::Lost;
        };
        let mail_in = head.mail_in;
        if let Some(pool) = &commit.pool {
            head.pool = pool.clone();
        }
        if commit.progress || commit.rest != Rest::Keep {
            (head.crashes, head.driven) = (0, false);
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
            Rest::Terminal => run.head = None,
        }
        self.leases.forget(&commit.key);
        self.announce(commit.key);
        CommitOutcome::Committed { mail_in }
    }
}
