//! Memory work between two steps (architecture D2, D2a): compaction by command, what other runs ask of this run's
//! conversation, and the answers to what this run asked.
//!
//! Mail becomes a job in the run's own state, committed with the mail's being read; the job and what it changes leave
//! in one commit. So a crash repeats a job and never loses or doubles one. Jobs run whatever the run rests on: it may
//! wait or be paused.

mod budget;
mod compact;

use ag_effects::memory::foreign::{MemoryReply, MemoryWrite, TARGET_HAS_ENDED, Work, keep_note};
use ag_kernel::{EffectRequest, OpenEffect, Outcome, VarChange};
use ag_store::{MailKind, OutMail};
use ag_types::{EffectKind, Object, RunId, RunStatus, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Deps, Held, Signals, commit::Stop, mailroom::RUN_HAS_ENDED};
use compact::{Compaction, Origin};

/// An effect that waits for another run looks after this time whether that run is still there.
const LOOK_MICROS: i64 = 2_000_000;
/// What the root of a schedule remembers of a compaction below it.
const MARKER: &str = "_runtime.last_compact_memory";

/// Work on this run's memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "job")]
enum Job {
    /// Asked by another run.
    Write {
        /// What, and by whom.
        write: MemoryWrite,
    },
    /// The run's own conversation.
    Compact(Compaction),
    /// A schedule's root learns of a compaction below it.
    Mark { value: Value },
}

/// A letter about work: that of [`ag_effects::memory::foreign`], or the mark.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    mark: Value,
}

/// Takes a letter that asks for work.
pub(crate) fn work_asked(held: &mut Held, body: Value) {
    let job = match serde_json::from_value::<MemoryWrite>(body.clone()) {
        Ok(write) => Job::Write { write },
        Err(error) => match serde_json::from_value::<Mark>(body) {
            Ok(Mark { mark }) => Job::Mark { value: mark },
            Err(_) => {
                tracing::warn!(run.id = %held.key.run, %error, "memory mail is damaged");
                return;
            }
        },
    };
    push(held, &job);
}

/// Takes a command. Returns the refusal.
pub(crate) fn compact_asked(held: &mut Held, mut body: Value, command: Option<&str>) -> Option<String> {
    if held.tick.run.status.is_terminal() {
        return Some(RUN_HAS_ENDED.to_owned());
    }
    let own = held.key.run.to_string();
    let mut take = |key: &str| {
        let found = body.as_object_mut().and_then(|body| body.shift_remove(key));
        found
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_else(|| own.clone())
    };
    let origin = Origin::Command {
        command_id: command.unwrap_or_default().to_owned(),
        requested_run_id: take("requested_run_id"),
        root_run_id: take("root_run_id"),
    };
    let payload = body.as_object().cloned().unwrap_or_default();
    push(held, &Job::Compact(Compaction::new(origin, payload)));
    None
}

fn push(held: &mut Held, job: &Job) {
    // Texts, numbers and JSON values: this always serialises.
    held.tick
        .aux
        .jobs
        .push(serde_json::to_value(job).unwrap_or_default());
}

/// Takes the answer to the open effect. One to an effect that is gone is dropped.
pub(crate) fn replied(held: &mut Held, body: Value) {
    let key = held.tick.aux.open.as_ref().map(|open| open.key.clone());
    let is_ours = key.is_some_and(|key| body.get("key").and_then(Value::as_str) == Some(&*key));
    if let Some(asked) = held.tick.aux.asked.as_mut().filter(|_| is_ours) {
        asked.reply = Some(body);
    }
}

/// A run that has ended does no work: who asked is told.
pub(crate) fn refuse_work(held: &mut Held) {
    for job in std::mem::take(&mut held.tick.aux.jobs) {
        match serde_json::from_value(job) {
            Ok(Job::Write { write }) => {
                reply(held, write.reply_to, write.key, Err(TARGET_HAS_ENDED.to_owned()));
            }
            Ok(Job::Compact(compaction)) => refuse(held, &compaction.origin, RUN_HAS_ENDED),
            Ok(Job::Mark { .. }) | Err(_) => {}
        }
    }
}

fn reply(held: &mut Held, to: RunId, key: String, outcome: Result<Value, String>) {
    let body = serde_json::to_string(&MemoryReply::of(key, outcome)).unwrap_or_default();
    held.pending.mail.push(OutMail {
        to,
        kind: MailKind::MemoryReply,
        body: body.into(),
        command_id: None,
    });
}

fn refuse(held: &mut Held, origin: &Origin, text: &str) {
    if let Origin::Command { command_id, .. } = origin
        && !command_id.is_empty()
    {
        held.pending
            .outcomes
            .push((command_id.as_str().into(), text.to_owned()));
    }
}

/// Whether the run rests until another one answers.
pub(crate) fn rests_on_reply(held: &Held) -> bool {
    held.tick
        .aux
        .asked
        .as_ref()
        .is_some_and(|asked| asked.reply.is_none())
}

/// When to look after the other run.
pub(crate) fn look_again(now: Timestamp) -> Timestamp {
    now.plus_micros(LOOK_MICROS)
}

impl Deps {
    /// Does the work that is asked for and applies an answer that has come.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) async fn memory_work(&self, held: &mut Held, signals: &Signals) -> Result<(), Stop> {
        self.watch_budget(held).await?;
        while !held.tick.run.status.is_terminal() && !signals.drain.is_cancelled() {
            let Some(job) = held.tick.aux.jobs.first().cloned() else {
                break;
            };
            let done = match serde_json::from_value(job) {
                Ok(Job::Write { write }) => self.write(held, signals, write).await?,
                Ok(Job::Mark { value }) => {
                    held.tick
                        .change_vars(vec![VarChange::Set(MARKER.to_owned(), value)]);
                    true
                }
                Ok(Job::Compact(compaction)) => self.compact(held, signals, compaction).await?,
                Err(error) => {
                    tracing::error!(run.id = %held.key.run, %error, "a memory job is damaged");
                    true
                }
            };
            if done && !held.tick.aux.jobs.is_empty() {
                held.tick.aux.jobs.remove(0);
                held.pending.progress = true;
                self.commit_and_drain(held).await?;
            }
        }
        self.settle_asked(held).await
    }

    /// Applies the answer that the open effect rests on, or its failure when nobody will answer any more.
    async fn settle_asked(&self, held: &mut Held) -> Result<(), Stop> {
        if held.tick.run.status != RunStatus::Running {
            return Ok(());
        }
        let Some(asked) = &held.tick.aux.asked else {
            return Ok(());
        };
        let target = asked.target;
        if asked.reply.is_none() && held.is_clean() && self.has_ended(held, target).await? {
            // Its last commit told us, if it ever read our letter.
            self.drain_mail(held).await?;
            if rests_on_reply(held) && held.tick.run.status == RunStatus::Running {
                self.end_asked(held, Outcome::Failed(TARGET_HAS_ENDED.to_owned()));
            }
        }
        let reply = held.tick.aux.asked.as_mut().and_then(|asked| asked.reply.take());
        if let Some(reply) = reply
            && held.tick.run.status == RunStatus::Running
        {
            let reply: Result<MemoryReply, _> = serde_json::from_value(reply);
            let outcome = reply.map_or_else(|error| Outcome::Failed(error.to_string()), MemoryReply::outcome);
            self.end_asked(held, outcome);
        }
        Ok(())
    }

    fn end_asked(&self, held: &mut Held, outcome: Outcome) {
        let answers = ag_kernel::HostAnswers::default();
        held.tick
            .apply(outcome, vec![], &self.env(self.clock.now(), &answers));
    }

    async fn has_ended(&self, held: &Held, run: RunId) -> Result<bool, Stop> {
        let row = self.store.run(&held.scope, run).await?;
        Ok(row.is_none_or(|row| row.columns.status.is_terminal()))
    }

    /// Work for another run. `false`: a cancel came instead.
    async fn write(&self, held: &mut Held, signals: &Signals, write: MemoryWrite) -> Result<bool, Stop> {
        let outcome = match write.work {
            Work::KeepNote {
                span_id,
                note,
                created_at,
                answer,
            } => {
                let (changes, answer) = keep_note(&held.tick.run, &span_id, &note, &created_at, answer);
                held.tick.change_vars(changes);
                Ok(answer)
            }
            Work::Effect { kind, payload } => {
                let open = self.effect(held, kind, payload, write.key.clone());
                match self.beside(held, signals, open).await? {
                    Some(outcome) => outcome,
                    None => return Ok(false),
                }
            }
        };
        reply(held, write.reply_to, write.key, outcome);
        Ok(true)
    }

    fn effect(&self, held: &Held, kind: EffectKind, payload: Object, key: String) -> OpenEffect {
        OpenEffect {
            node_id: held.tick.run.current_node.clone(),
            kind,
            payload,
            result_key: None,
            next_node: None,
            step_id: self.ids.step_id(),
            key,
            visit: 1,
            attempt: 1,
            started_at: self.clock.now(),
            called: true,
        }
    }

    /// Performs an effect that is none of the workflow's steps. `None`: a cancel came, the mail has decided.
    async fn beside(
        &self,
        held: &mut Held,
        signals: &Signals,
        open: OpenEffect,
    ) -> Result<Option<Result<Value, String>>, Stop> {
        let Some(handler) = self.effects.get(open.kind).cloned() else {
            let kind = open.kind.as_str();
            return Ok(Some(Err(format!("No effect handler registered for {kind}"))));
        };
        // It may read what the run has written.
        if !held.is_clean() {
            self.commit_and_drain(held).await?;
        }
        let request = EffectRequest { open };
        let Some(answer) = self.ask_handler(held, signals, &*handler, &request).await? else {
            self.interrupted(held, signals).await?;
            return Ok(None);
        };
        let (outcome, changes) = held.collect(answer);
        Ok(Some(match outcome {
            Outcome::Done { result, .. } => {
                held.tick.change_vars(changes);
                Ok(result)
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Waiting(_) | Outcome::Asked { .. } => Err("the effect cannot wait here".to_owned()),
        }))
    }
}
