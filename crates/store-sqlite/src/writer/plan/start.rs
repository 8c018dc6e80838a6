//! Starts.

use ag_store::{OutMail, Placement, Start, StartOutcome};
use ag_types::{PlaneId, RunId, RunKey};

use super::{Letter, Plan};
use crate::{
    db::Value,
    writer::{
        state::{KeyFacts, State},
        statements::Statement,
    },
};

impl Plan {
    pub(super) fn start(&mut self, state: &mut State, plane: PlaneId, start: &Start) -> StartOutcome {
        if let Some(answer) = repeated(state, plane, start) {
            return answer;
        }
        if let Some(generation) = start.generation
            && state
                .planes
                .get(&plane)
                .is_none_or(|facts| facts.generation != generation)
        {
            return StartOutcome::StaleGeneration;
        }
        if start
            .mail
            .iter()
            .any(|mail| mail.kind.is_tree() && !reaches(state, plane, start, mail))
        {
            return StartOutcome::Stale;
        }
        self.start_key(state, plane, start);
        for run in &start.runs {
            self.new_run(state, plane, run);
        }
        self.owners(plane, &start.owners);
        self.artifacts(plane, &start.artifacts);
        self.memory(plane, &start.memory);
        for mail in &start.mail {
            let command_id = mail.command_id.as_ref().map(Value::from);
            let letter = Letter {
                kind: mail.kind,
                body: &mail.body,
                command_id,
            };
            self.deliver(state, RunKey { run: mail.to, plane }, letter);
        }
        StartOutcome::Created
    }

    fn start_key(&mut self, state: &mut State, plane: PlaneId, start: &Start) {
        let (Some(key), Some(run)) = (&start.key, root(start)) else {
            return;
        };
        // Also removes an expired row of this very key.
        self.writes
            .add(Statement::ExpiredKeys, [plane.into(), key.expires_before.into()]);
        self.writes.add(
            Statement::StartKey,
            [
                plane.into(),
                (&key.key).into(),
                key.body_sha256.as_slice().into(),
                run.into(),
                start.now.into(),
            ],
        );
        let facts = KeyFacts {
            body_sha256: key.body_sha256.to_vec(),
            run,
            created_at: start.now,
        };
        state.start_keys.insert((plane, key.key.clone()), facts);
    }
}

fn root(start: &Start) -> Option<RunId> {
    start.runs.first().map(|run| run.head.run_id)
}

/// The answer to a start that was written before: by its key, or (after a failed attempt) by its run.
fn repeated(state: &State, plane: PlaneId, start: &Start) -> Option<StartOutcome> {
    if let Some(key) = &start.key
        && let Some(stored) = state.start_keys.get(&(plane, key.key.clone()))
        && stored.created_at >= key.expires_before
    {
        if stored.body_sha256 != key.body_sha256 {
            return Some(StartOutcome::KeyConflict);
        }
        // The same start again after an unknown outcome is no other request.
        let same = root(start) == Some(stored.run);
        return Some(if same {
            StartOutcome::Created
        } else {
            StartOutcome::Existing(stored.run)
        });
    }
    let written = |run| {
        state
            .entries
            .get(&RunKey { run, plane })
            .is_some_and(|entry| entry.run.is_some())
    };
    (state.careful && root(start).is_some_and(written)).then_some(StartOutcome::Created)
}

fn reaches(state: &State, plane: PlaneId, start: &Start, mail: &OutMail) -> bool {
    let own = start.runs.iter().find(|run| run.head.run_id == mail.to);
    own.map_or_else(
        || state.is_live(&RunKey { run: mail.to, plane }),
        |run| run.placement != Placement::Terminal,
    )
}
