//! Operations. Each is drawn once and sent to every store.

mod build;
mod rows;

use std::collections::HashSet;

use ag_store::{CandidateQuery, CommitOutcome, MailKind, NewSession, PostOutcome, Rest, Store, Sweep, Woken};
use ag_types::{PlaneId, RunKey, SessionId};

use super::world::{Held, World, text};
use crate::build::SYSTEM;

/// Sends an operation to every store and compares the answers.
macro_rules! all {
    ($world:ident, $what:expr, |$backend:ident| $call:expr) => {{
        let what: String = $what;
        $world.note(what.clone());
        let mut answers = Vec::new();
        let mut backends = std::mem::take(&mut $world.backends);
        for $backend in &mut backends {
            answers.push($call);
        }
        $world.backends = backends;
        $world.agree(&what, &answers);
    }};
}
pub(super) use all;
pub(super) use build::WAIT_KEYS;

impl World {
    pub(super) async fn step(&mut self) {
        match self.random.below(100) {
            0..14 => self.start().await,
            14..22 => self.sessions().await,
            22..40 => self.claim().await,
            40..62 => self.commit().await,
            62..64 => self.release().await,
            64..68 => self.note_driven().await,
            68..77 => self.post().await,
            77..83 => self.sweep().await,
            83..86 => self.append().await,
            86..88 => self.purge().await,
            88..97 => self.rows().await,
            _ => {
                let micros = [10_000, 1_600_000, 9_000_000, 20_000_000][self.random.below(4)];
                self.note(format!("{micros} microseconds later"));
                self.clock.advance(micros);
            }
        }
        // Two things never happen at the same moment: the order of ties is nobody's promise.
        self.clock.advance(1_000);
    }

    async fn start(&mut self) {
        let scope = self.scope();
        let start = self.new_start(&scope);
        let made: Vec<_> = start
            .runs
            .iter()
            .map(|run| {
                (
                    RunKey {
                        run: run.head.run_id,
                        plane: scope.plane,
                    },
                    run.placement,
                    run.last_seq,
                )
            })
            .collect();
        let mut created = false;
        all!(self, format!("start {start:?}"), |backend| {
            let answer = backend.api.start(&scope, start.clone()).await;
            created = matches!(answer, Ok(ag_store::StartOutcome::Created));
            for (key, placement, _) in &made {
                if let ag_store::Placement::Held { session, epoch } = placement {
                    backend.epochs.insert((*key, *session), *epoch);
                }
            }
            text(&answer)
        });
        if created {
            for (key, placement, last_seq) in made {
                self.runs.push(key);
                if let ag_store::Placement::Held { session, .. } = placement {
                    self.hold(key, session, 0, last_seq, 0);
                }
                self.compare_run(key).await;
            }
        }
    }

    fn hold(&mut self, key: RunKey, session: SessionId, rev: i32, last_seq: i64, mail_in: i64) {
        self.held
            .retain(|held| (held.key, held.session) != (key, session));
        self.held.push(Held {
            key,
            session,
            rev,
            last_seq,
            mail_in,
            seen: 0,
        });
    }

    async fn sessions(&mut self) {
        let known = self.random.of(&self.sessions).copied();
        match (self.random.below(10), known) {
            (0..4, _) | (_, None) => {
                let id = SessionId(1_000 + i64::try_from(self.number()).expect("small"));
                self.sessions.push(id);
                let pool = self.pool();
                let session = NewSession {
                    id,
                    pool,
                    node: "test".to_owned(),
                };
                all!(self, format!("open {session:?}"), |backend| {
                    text(&backend.engine.open_session(&SYSTEM, session.clone()).await)
                });
            }
            (4..8, Some(id)) => all!(self, format!("renew {id:?}"), |backend| {
                text(&backend.engine.renew_session(&SYSTEM, id).await)
            }),
            (n, Some(id)) => all!(self, format!("close {id:?}"), |backend| {
                sorted(backend.engine.close_session(&SYSTEM, id, n == 8).await)
            }),
        }
    }

    async fn claim(&mut self) {
        let Some(session) = self.random.of(&self.sessions).copied() else {
            return;
        };
        let mut keys = Vec::new();
        for _ in 0..=self.random.below(3) {
            let scope = self.scope();
            keys.extend(self.run_of(&scope).filter(|key| !keys.contains(key)));
        }
        let known: Vec<_> = keys
            .iter()
            .filter_map(|key| self.held.iter().rev().find(|held| held.key == *key))
            .map(|held| (held.key, held.rev))
            .collect();
        let mut got = Vec::new();
        all!(self, format!("claim {session:?} {keys:?} {known:?}"), |backend| {
            let claim = backend.engine.claim(&SYSTEM, session, &keys, &known).await;
            let claim = claim.map(|mut claim| {
                for run in &mut claim.runs {
                    backend
                        .epochs
                        .insert((run.key, session), std::mem::take(&mut run.epoch));
                }
                got = claim.runs.clone();
                claim
            });
            text(&claim)
        });
        for run in got {
            self.hold(run.key, session, run.rev, run.last_seq, run.mail_in);
        }
    }

    async fn commit(&mut self) {
        let Some(held) = self.random.of(&self.held).cloned() else {
            return;
        };
        let mut commit = self.new_commit(&held);
        if commit.rev > 0 && self.random.percent(5) {
            commit.rev -= 1;
        }
        let children: Vec<_> = commit
            .children
            .iter()
            .map(|run| {
                (
                    RunKey {
                        run: run.head.run_id,
                        plane: held.key.plane,
                    },
                    run.placement,
                    run.last_seq,
                )
            })
            .collect();
        let mut outcome = CommitOutcome::Lost;
        all!(self, format!("commit {commit:?}"), |backend| {
            let mut commit = commit.clone();
            commit.epoch = backend
                .epochs
                .get(&(held.key, held.session))
                .copied()
                .unwrap_or(0);
            let answer = backend.engine.commit(&SYSTEM, commit).await;
            outcome = answer.as_ref().copied().unwrap_or(CommitOutcome::Lost);
            for (key, placement, _) in &children {
                if let ag_store::Placement::Held { session, epoch } = placement {
                    backend.epochs.insert((*key, *session), *epoch);
                }
            }
            text(&answer)
        });
        let written = matches!(outcome, CommitOutcome::Committed { .. }) && commit.rev == held.rev;
        let place = self
            .held
            .iter()
            .position(|other| other.key == held.key && other.session == held.session);
        match (outcome, place) {
            (CommitOutcome::Committed { mail_in }, Some(place)) if written => {
                if commit.rest == Rest::Keep {
                    let held = &mut self.held[place];
                    held.rev += 1;
                    (held.last_seq, held.seen, held.mail_in) = (commit.last_seq, commit.seen, mail_in);
                } else if self.random.percent(70) {
                    // Some holders try again with what they no longer hold.
                    self.held.swap_remove(place);
                }
                for (key, placement, last_seq) in children {
                    self.runs.push(key);
                    if let ag_store::Placement::Held { session, .. } = placement {
                        self.hold(key, session, 0, last_seq, 0);
                    }
                    self.compare_run(key).await;
                }
            }
            (CommitOutcome::Stale { mail_in }, Some(place)) => self.held[place].mail_in = mail_in,
            (CommitOutcome::Lost, Some(place)) if commit.rev == held.rev => {
                self.held.swap_remove(place);
            }
            _ => {}
        }
        self.compare_run(held.key).await;
        for mail in &commit.mail {
            self.compare_run(RunKey {
                run: mail.to,
                plane: held.key.plane,
            })
            .await;
        }
    }

    async fn release(&mut self) {
        let Some(held) = self.random.of(&self.held).cloned() else {
            return;
        };
        all!(self, format!("release {held:?}"), |backend| {
            let epoch = backend
                .epochs
                .get(&(held.key, held.session))
                .copied()
                .unwrap_or(0);
            text(
                &backend
                    .engine
                    .release(&SYSTEM, held.session, held.key, epoch)
                    .await,
            )
        });
    }

    async fn note_driven(&mut self) {
        let Some(held) = self.random.of(&self.held).cloned() else {
            return;
        };
        all!(self, format!("note driven {held:?}"), |backend| {
            let epoch = backend.epochs.get(&(held.key, held.session)).copied();
            let runs = [(held.key, epoch.unwrap_or(0))];
            text(&backend.engine.note_driven(&SYSTEM, held.session, &runs).await)
        });
    }

    async fn post(&mut self) {
        let scope = self.scope();
        let command = self.new_command(&scope);
        let targets: Vec<_> = command.targets.iter().map(|target| target.run).collect();
        all!(self, format!("post {command:?}"), |backend| {
            let answer = backend.api.post_command(&scope, command.clone()).await;
            text(&answer.map(|outcome| match outcome {
                PostOutcome::Accepted {
                    seq,
                    mut woken,
                    mut preempt,
                } => {
                    woken.sort_by_key(|woken| woken.key);
                    preempt.sort_by_key(|(_, run)| *run);
                    PostOutcome::Accepted { seq, woken, preempt }
                }
                other => other,
            }))
        });
        self.commands.push((scope.clone(), command.command_id));
        for run in targets {
            self.compare_run(RunKey {
                run,
                plane: scope.plane,
            })
            .await;
        }
    }

    async fn sweep(&mut self) {
        let sweep = [Sweep::Timers, Sweep::Sessions, Sweep::Cancels][self.random.below(3)];
        all!(self, format!("sweep {sweep:?}"), |backend| {
            // Where a claim writes nothing, a run keeps the timer it was claimed with: a run that was given back since
            // then is ready, and its bell may ring once more.
            let ready = ready(&*backend.engine).await;
            let woken = backend.engine.sweep(&SYSTEM, sweep).await;
            sorted(woken.map(|woken| {
                woken
                    .into_iter()
                    .filter(|woken| !ready.contains(&woken.key))
                    .collect()
            }))
        });
    }

    async fn append(&mut self) {
        let scope = self.scope();
        let Some(key) = self.run_of(&scope) else { return };
        let lines: Vec<_> = (0..=self.random.below(3))
            .map(|n| format!("{{\"appended\":{n}}}"))
            .collect();
        all!(self, format!("append {key:?} {lines:?}"), |backend| {
            text(&backend.api.append_to_terminal(&scope, key.run, &lines).await)
        });
        self.compare_run(key).await;
    }

    async fn purge(&mut self) {
        let scope = self.scope();
        let Some(key) = self.run_of(&scope) else { return };
        let runs = [key.run];
        all!(self, format!("purge {key:?}"), |backend| {
            text(&backend.api.purge_runs(&scope, &runs).await)
        });
        self.compare_run(key).await;
    }

    pub(super) fn mail_kind(&mut self) -> MailKind {
        const KINDS: [MailKind; 8] = [
            MailKind::Resume,
            MailKind::Pause,
            MailKind::Unpause,
            MailKind::Cancel,
            MailKind::Event,
            MailKind::ChildDone,
            MailKind::AppendRecord,
            MailKind::UpdateSchedule,
        ];
        KINDS[self.random.below(KINDS.len())]
    }
}

/// Runs that could be claimed.
async fn ready(store: &dyn Store) -> HashSet<RunKey> {
    let mut ready = HashSet::new();
    for pool in ["default", "gpu"] {
        let query = CandidateQuery {
            pool: pool.into(),
            limit: 1_000,
            after_plane: PlaneId(0),
        };
        ready.extend(store.candidates(&SYSTEM, query).await.expect("candidates"));
    }
    ready
}

/// Bells ring in any order.
fn sorted(answer: ag_store::Result<Vec<Woken>>) -> String {
    text(&answer.map(|mut woken| {
        woken.sort_by_key(|woken| woken.key);
        woken
    }))
}
