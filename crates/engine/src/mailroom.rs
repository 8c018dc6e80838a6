//! Mail applied to a held run, in order, between steps (architecture D2). Cancel is taken first.

use ag_kernel::{control::ScheduleUpdate, vars};
use ag_store::{Mail, MailKind, OutMail};
use ag_telemetry::traces;
use ag_types::{RunId, RunKey, SystemScope, Timestamp, WaitReason};
use serde_json::{Value, json};

use crate::{Deps, Held, commands::TRACEPARENT, commit::Stop, interval, memory};

const SCOPE: SystemScope = SystemScope::new("mail of a held run");

/// Outcome text of commands whose target has ended.
pub(crate) const RUN_HAS_ENDED: &str = "run has ended";

impl Deps {
    /// Reads and applies all unread mail. Afterwards the run is running, waiting or terminal; an approved tool batch
    /// may be waiting in its state.
    ///
    /// # Errors
    /// [`Stop`] when the store fails.
    pub async fn drain_mail(&self, held: &mut Held) -> Result<(), Stop> {
        let mail = self.store.read_mail(&SCOPE, held.key, held.seen).await?;
        let last = mail.last().map_or(held.mail_in, |mail| mail.n);
        let now = self.clock.now();
        let (cancels, rest): (Vec<Mail>, Vec<Mail>) =
            mail.into_iter().partition(|mail| mail.kind == MailKind::Cancel);
        for mail in cancels.into_iter().chain(rest) {
            self.apply_mail(held, &mail, now).await?;
        }
        held.seen = held.seen.max(last).max(0);
        held.mail_in = held.mail_in.max(held.seen);
        Ok(())
    }

    async fn apply_mail(&self, held: &mut Held, mail: &Mail, now: Timestamp) -> Result<(), Stop> {
        let body: Value = serde_json::from_str(&mail.body).unwrap_or(Value::Null);
        let reason = body.get("reason").and_then(Value::as_str);
        if let Some(posted) = body.get(TRACEPARENT).and_then(Value::as_str) {
            traces::link(&tracing::Span::current(), posted);
        }
        let refusal = match mail.kind {
            MailKind::Cancel => {
                self.pass_down(held, mail).await?;
                held.tick.cancel(reason, now);
                None
            }
            MailKind::Pause => {
                self.pass_down(held, mail).await?;
                let paused = held.tick.run.is_paused();
                match held.tick.aux.batch.as_mut() {
                    Some(batch) if !paused => batch.pause = Some(reason.map(str::to_owned)),
                    _ => {
                        held.tick.pause(reason, now);
                    }
                }
                None
            }
            MailKind::Unpause => {
                self.pass_down(held, mail).await?;
                let root = body.get("trigger").and_then(Value::as_bool).unwrap_or(false);
                unpause(held, root, now);
                None
            }
            MailKind::Resume => self.resume(held, &body, now),
            MailKind::Event => event(held, &body, now),
            MailKind::ChildDone => child_done(held, &body, now),
            MailKind::UpdateSchedule => update_schedule(held, &body, mail.command_id.as_deref(), now),
            MailKind::AppendRecord => None,
            MailKind::CompactMemory => memory::compact_asked(held, body, mail.command_id.as_deref()),
            MailKind::MemoryWrite => {
                memory::work_asked(held, body);
                None
            }
            MailKind::MemoryReply => {
                memory::replied(held, body);
                None
            }
        };
        if let Some((command, refusal)) = mail.command_id.clone().zip(refusal) {
            held.pending.outcomes.push((command, refusal));
        }
        Ok(())
    }

    /// Tree mail goes on to the nearest live runs below, through terminal ones.
    async fn pass_down(&self, held: &mut Held, mail: &Mail) -> Result<(), Stop> {
        let below = self.store.live_below(&held.scope, held.key.run).await?;
        let body = below_body(&mail.body);
        // Children that wait for this commit are live runs below as well.
        let unborn = held.pending.children.iter().map(|child| child.state.head.run_id);
        let targets: Vec<RunId> = below.into_iter().chain(unborn).collect();
        held.pending.mail.extend(targets.into_iter().map(|to| OutMail {
            to,
            kind: mail.kind,
            body: body.clone(),
            command_id: None,
        }));
        Ok(())
    }

    /// A resume with a payload. Returns the refusal, if it was refused.
    fn resume(&self, held: &mut Held, body: &Value, now: Timestamp) -> Option<String> {
        let key = body.get("wait_key").and_then(Value::as_str);
        if held.tick.run.status.is_terminal() {
            return Some(RUN_HAS_ENDED.to_owned());
        }
        let wait = match held.tick.resumable(key) {
            Ok(wait) => wait.clone(),
            Err(refusal) => return Some(refusal.to_string()),
        };
        let payload = body.get("payload").cloned().unwrap_or_else(|| json!({}));
        if !payload.is_object() {
            return Some("resume command requires payload.payload to be an object".to_owned());
        }
        if vars::is_deeper_than(&payload, vars::MAX_RESULT_DEPTH) {
            return Some("resume payload is nested too deeply".to_owned());
        }
        let is_tools =
            held.tick.aux.tool_wait.is_some() && matches!(wait.reason, WaitReason::User | WaitReason::Job);
        if !is_tools {
            held.tick.resume(payload, None, now);
            return None;
        }
        match self.tools.settle(&wait, &payload) {
            Some(stored) => held.tick.resume(stored, None, now),
            None => held.tick.begin_batch(payload),
        }
        None
    }

    /// Mail that the run sent to runs which have ended since is dropped; tree mail is addressed anew to what lives
    /// below them now.
    ///
    /// # Errors
    /// [`Stop`] when the store fails.
    pub async fn readdress(&self, held: &mut Held) -> Result<(), Stop> {
        let keys: Vec<RunKey> = held
            .pending
            .mail
            .iter()
            .map(|mail| RunKey {
                run: mail.to,
                plane: held.key.plane,
            })
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let ended: Vec<RunId> = self
            .store
            .tails(&SCOPE, &keys)
            .await?
            .into_iter()
            .filter(|tail| tail.status.is_terminal())
            .map(|tail| tail.key.run)
            .collect();
        let (gone, kept): (Vec<OutMail>, Vec<OutMail>) = std::mem::take(&mut held.pending.mail)
            .into_iter()
            .partition(|mail| ended.contains(&mail.to));
        held.pending.mail = kept;
        for mail in gone.into_iter().filter(|mail| mail.kind.is_tree()) {
            for to in self.store.live_below(&held.scope, mail.to).await? {
                if !held
                    .pending
                    .mail
                    .iter()
                    .any(|known| known.to == to && known.kind == mail.kind)
                {
                    held.pending.mail.push(OutMail { to, ..mail.clone() });
                }
            }
        }
        Ok(())
    }
}

/// The body for descendants: an un-pause triggers only the schedule that it names.
fn below_body(body: &str) -> std::sync::Arc<str> {
    let mut value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("trigger");
    }
    value.to_string().into()
}

fn unpause(held: &mut Held, root: bool, now: Timestamp) {
    if let Some(batch) = &mut held.tick.aux.batch {
        // Takes back a pause that waits for the end of the batch.
        batch.pause = None;
    }
    held.tick.unpause(now);
    for body in std::mem::take(&mut held.tick.aux.held) {
        child_done(held, &body, now);
    }
    if root {
        held.tick.trigger_schedule(now);
    }
}

/// An event for a listener. Mail that no longer matches the wait is dropped with its reason.
fn event(held: &mut Held, body: &Value, now: Timestamp) -> Option<String> {
    let key = body.get("wait_key").and_then(Value::as_str);
    if held.tick.run.status.is_terminal() {
        return Some(RUN_HAS_ENDED.to_owned());
    }
    match held.tick.resumable(key) {
        Ok(wait) if wait.reason == WaitReason::Event => {
            let envelope = body.get("envelope").cloned().unwrap_or(Value::Null);
            held.tick.resume(envelope, None, now);
            None
        }
        Ok(_) => Some("the run waits for something else".to_owned()),
        Err(refusal) => Some(refusal.to_string()),
    }
}

/// The end of a child: applied when it is waited for, held while paused, dropped otherwise.
fn child_done(held: &mut Held, body: &Value, now: Timestamp) -> Option<String> {
    let child = body
        .get("sub_run_id")
        .and_then(Value::as_str)
        .and_then(|id| id.parse::<RunId>().ok())?;
    if held.tick.run.is_paused() {
        held.tick.aux.held.push(body.clone());
        return None;
    }
    if held.tick.waits_for_child(child) {
        ag_failpoints::hit("parent.before_wake");
        let wants_traces = held
            .tick
            .run
            .waiting
            .as_ref()
            .and_then(|wait| wait.details.as_ref()?.get("include_traces"))
            .is_some_and(ag_pyvalue::truthy);
        let mut payload = body.clone();
        if let Some(map) = payload.as_object_mut().filter(|_| !wants_traces) {
            map.shift_remove("node_traces");
        }
        held.tick.resume(payload, None, now);
    }
    None
}

fn update_schedule(held: &mut Held, body: &Value, command: Option<&str>, now: Timestamp) -> Option<String> {
    if held.tick.run.status.is_terminal() {
        return Some(RUN_HAS_ENDED.to_owned());
    }
    let text = body
        .get("interval")
        .or_else(|| body.get("schedule"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Some("update_schedule requires payload.interval".to_owned());
    }
    let Some(micros) = interval::parse(text).filter(|micros| *micros > 0) else {
        return Some(
            "update_schedule interval must be a relative duration like '20m', '1h', '0.5s'".to_owned(),
        );
    };
    let run_id = held.key.run.to_string();
    let update = ScheduleUpdate {
        interval: text,
        interval_micros: micros,
        apply_immediately: body.get("apply_immediately").is_none_or(ag_pyvalue::truthy),
        command_id: command,
        requested_run_id: body
            .get("requested_run_id")
            .and_then(Value::as_str)
            .unwrap_or(&run_id),
    };
    held.tick.update_schedule(&update, now).err().map(str::to_owned)
}
