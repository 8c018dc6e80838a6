//! Starts.

use ag_types::{PlaneId, RunKey, Timestamp};

use super::world::{StoredKey, World};
use crate::{OutMail, Placement, Start, StartOutcome};

impl World {
    pub(super) fn start(&mut self, plane: PlaneId, start: &Start, now: Timestamp) -> StartOutcome {
        let root = start.runs.first().map(|run| RunKey {
            run: run.head.run_id,
            plane,
        });
        if let Some(key) = &start.key
            && let Some(stored) = self.start_keys.get(&(plane, key.key.clone()))
            && stored.created_at >= key.expires_before
        {
            if stored.body_sha256 != key.body_sha256 {
                return StartOutcome::KeyConflict;
            }
            if root.map(|root| root.run) != Some(stored.run) {
                return StartOutcome::Existing(stored.run);
            }
        }
        if root.is_some_and(|root| self.runs.contains_key(&root)) {
            return StartOutcome::Created;
        }
        if start
            .generation
            .is_some_and(|generation| generation != self.counters(plane).generation)
        {
            return StartOutcome::StaleGeneration;
        }
        if start
            .mail
            .iter()
            .any(|mail| mail.kind.is_tree() && !self.start_reaches(plane, start, mail))
        {
            return StartOutcome::Stale;
        }
        if let (Some(key), Some(root)) = (&start.key, root) {
            let stored = StoredKey {
                body_sha256: key.body_sha256,
                run: root.run,
                created_at: start.now,
            };
            self.start_keys.insert((plane, key.key.clone()), stored);
        }
        for run in &start.runs {
            self.insert_run(plane, run, now);
        }
        for owner in &start.owners {
            self.owners
                .entry((plane, owner.owner_id.clone()))
                .or_insert_with(|| owner.clone());
        }
        self.memory
            .extend(start.memory.iter().map(|row| (plane, row.clone())));
        for row in &start.artifacts {
            self.artifacts
                .insert((plane, row.artifact_id.clone()), row.clone());
        }
        for mail in &start.mail {
            self.deliver(
                RunKey { run: mail.to, plane },
                mail.kind,
                &mail.body,
                mail.command_id.clone(),
                now,
            );
        }
        StartOutcome::Created
    }

    fn start_reaches(&self, plane: PlaneId, start: &Start, mail: &OutMail) -> bool {
        match start.runs.iter().find(|run| run.head.run_id == mail.to) {
            Some(run) => run.placement != Placement::Terminal,
            None => self.is_live(&RunKey { run: mail.to, plane }),
        }
    }
}
