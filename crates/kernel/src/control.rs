//! Pause, un-pause, cancel (kernel spec §4), and edits of schedules (bundles spec §7.3).

use ag_types::{RunStatus, Timestamp, Wait, WaitReason};
use serde_json::{Value, json};

use crate::{Tick, vars};

impl Tick {
    /// Pauses. No-op for terminal and paused runs and for those that ask a person. Returns whether it applied.
    pub fn pause(&mut self, reason: Option<&str>, now: Timestamp) -> bool {
        let asks_person = self
            .run
            .waiting
            .as_ref()
            .is_some_and(|wait| wait.reason == WaitReason::User && !wait.is_pause());
        if self.run.status.is_terminal() || self.run.is_paused() || asks_person {
            return false;
        }
        let control = vars::object_at(&mut self.run.vars, "_runtime.control");
        control.insert("paused".into(), Value::Bool(true));
        control.insert("paused_at".into(), now.to_string().into());
        if let Some(reason) = reason {
            control.insert("pause_reason".into(), reason.into());
        }
        if self.run.status == RunStatus::Running {
            let mut wait = Wait::new(WaitReason::User, Some(format!("pause:{}", self.run.head.run_id)));
            wait.resume_to_node = Some(self.run.current_node.clone());
            wait.prompt = Some("Paused".into());
            wait.allow_free_text = false;
            wait.details = Some(json!({"kind": "pause"}));
            self.run.status = RunStatus::Waiting;
            self.run.waiting = Some(wait);
        }
        true
    }

    /// Un-pauses; a pause wait is cleared. Returns whether the run was paused.
    pub fn unpause(&mut self, now: Timestamp) -> bool {
        if self.run.status.is_terminal() || !self.run.is_paused() {
            return false;
        }
        self.aux.parked = false;
        let control = vars::object_at(&mut self.run.vars, "_runtime.control");
        control.shift_remove("paused");
        control.shift_remove("pause_reason");
        control.insert("resumed_at".into(), now.to_string().into());
        if self.run.waiting.as_ref().is_some_and(Wait::is_pause) {
            if let Some(node) = self.run.waiting.take().and_then(|wait| wait.resume_to_node) {
                self.run.current_node = node;
            }
            self.run.status = RunStatus::Running;
        }
        true
    }

    /// Cancels. No-op on a terminal run. Returns whether it applied.
    pub fn cancel(&mut self, reason: Option<&str>, now: Timestamp) -> bool {
        if self.run.status.is_terminal() {
            return false;
        }
        self.run.status = RunStatus::Cancelled;
        self.run.error = Some(
            reason
                .filter(|text| !text.is_empty())
                .unwrap_or("Cancelled")
                .to_owned(),
        );
        self.run.waiting = None;
        self.aux.open = None;
        self.aux.asked = None;
        self.aux.batch = None;
        self.aux.tool_wait = None;
        self.aux.held.clear();
        if self.run.is_paused() {
            vars::remove_path(&mut self.run.vars, "_runtime.control.paused");
        }
        self.status_record(now);
        true
    }

    /// Makes the `until` wait of a recurrent schedule due now. Returns whether there was one.
    pub fn trigger_schedule(&mut self, now: Timestamp) -> bool {
        let recurrent = self.is_schedule() && self.schedule_interval().is_some();
        match &mut self.run.waiting {
            Some(wait) if recurrent && wait.reason == WaitReason::Until => {
                wait.until = Some(now);
                true
            }
            _ => false,
        }
    }

    /// True for the parent run of a schedule.
    pub fn is_schedule(&self) -> bool {
        vars::text_at(&self.run.vars, "_meta.schedule.kind") == Some("scheduled_run")
    }

    fn schedule_interval(&self) -> Option<&str> {
        vars::text_at(&self.run.vars, "_meta.schedule.interval").filter(|text| !text.trim().is_empty())
    }

    /// Sets a new interval on a recurrent schedule; at rest in `wait_interval` the due time moves too.
    ///
    /// # Errors
    /// The refusal text.
    pub fn update_schedule(
        &mut self,
        update: &ScheduleUpdate<'_>,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if !self.is_schedule() {
            return Err(
                "update_schedule is only supported for scheduled runs (or runs inside a scheduled run tree)",
            );
        }
        if self.schedule_interval().is_none() {
            return Err("update_schedule requires a recurrent scheduled run (interval must be set)");
        }
        let schedule = vars::object_at(&mut self.run.vars, "_meta.schedule");
        schedule.insert("interval".into(), update.interval.into());
        schedule.insert("updated_at".into(), now.to_seconds_text().into());
        let run_id = self.run.head.run_id.to_string();
        let marker = json!({
            "command_id": update.command_id, "interval": update.interval, "updated_at": now.to_seconds_text(),
            "requested_run_id": update.requested_run_id, "scheduled_root_run_id": run_id,
        });
        vars::set_path(&mut self.run.vars, "_runtime.last_schedule_update", marker);
        let moves = update.apply_immediately && self.run.current_node == "wait_interval";
        if let Some(wait) = self
            .run
            .waiting
            .as_mut()
            .filter(|wait| moves && wait.reason == WaitReason::Until)
        {
            wait.until = Some(now.plus_micros(update.interval_micros));
        }
        Ok(())
    }
}

/// An `update_schedule` command.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleUpdate<'a> {
    /// New interval, as given.
    pub interval: &'a str,
    /// The same in microseconds.
    pub interval_micros: i64,
    /// Whether a running wait moves too.
    pub apply_immediately: bool,
    /// Command.
    pub command_id: Option<&'a str>,
    /// Run that the command named.
    pub requested_run_id: &'a str,
}

#[cfg(test)]
mod tests;
