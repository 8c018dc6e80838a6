//! Resuming a wait with a payload (kernel spec §4.3): answers, events, ends of children, tool results.

use ag_types::{Object, RunId, RunStatus, StepStatus, Timestamp, Wait, WaitReason};
use serde_json::{Value, json};

use crate::{Tick, aux::ApprovedBatch, tick::Row};

/// Why a resume was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The run is paused.
    #[error("Run is paused")]
    Paused,
    /// The run rests on nothing, or has ended.
    #[error("Run is not waiting")]
    NotWaiting,
    /// The sender meant another wait.
    #[error("wait_key mismatch: expected '{expected}', got '{got}'")]
    KeyMismatch {
        /// The key of the wait.
        expected: String,
        /// The key of the sender.
        got: String,
    },
}

impl Tick {
    /// The wait that a resume with this key would end.
    ///
    /// # Errors
    /// [`Refusal`] when there is none.
    pub fn resumable(&self, wait_key: Option<&str>) -> Result<&Wait, Refusal> {
        if self.run.is_paused() {
            return Err(Refusal::Paused);
        }
        let wait = self
            .run
            .waiting
            .as_ref()
            .filter(|_| self.run.status == RunStatus::Waiting);
        let wait = wait.ok_or(Refusal::NotWaiting)?;
        match (wait.wait_key.as_deref(), wait_key) {
            (Some(expected), Some(got)) if expected != got => Err(Refusal::KeyMismatch {
                expected: expected.to_owned(),
                got: got.to_owned(),
            }),
            _ => Ok(wait),
        }
    }

    /// True if the run waits for this child.
    pub fn waits_for_child(&self, child: RunId) -> bool {
        let Some(wait) = self
            .run
            .waiting
            .as_ref()
            .filter(|wait| wait.reason == WaitReason::Subworkflow)
        else {
            return false;
        };
        let id = child.to_string();
        let named = wait
            .details
            .as_ref()
            .and_then(|details| details.get("sub_run_id"))
            .and_then(Value::as_str);
        named == Some(id.as_str())
            || wait
                .wait_key
                .as_deref()
                .and_then(|key| key.strip_prefix("subworkflow:"))
                == Some(&id)
    }

    /// Clears an approval wait and remembers its batch, so that the tools run with the run's own state as their
    /// guard: a second approval finds no wait, a crash finds the batch.
    pub fn begin_batch(&mut self, payload: Value) {
        if let Some(wait) = self.run.waiting.take() {
            self.run.status = RunStatus::Running;
            self.aux.batch = Some(ApprovedBatch {
                wait,
                payload,
                pause: None,
            });
        }
    }

    /// Ends the approved batch: restores its wait and resumes it with the results.
    pub fn finish_batch(&mut self, stored: Value, state: Option<Value>, now: Timestamp) {
        let Some(batch) = self.aux.batch.take() else {
            return;
        };
        self.run.status = RunStatus::Waiting;
        self.run.waiting = Some(batch.wait);
        self.resume(stored, state, now);
        if let Some(reason) = batch.pause {
            self.pause(reason.as_deref(), now);
        }
    }

    /// Ends the current wait. `payload` is what is stored and recorded (already merged for tool waits); `state` is
    /// what goes into the variables where it differs (evidence taken out). The caller has checked
    /// [`Tick::resumable`].
    pub fn resume(&mut self, payload: Value, state: Option<Value>, now: Timestamp) {
        let Some(wait) = self.run.waiting.take() else {
            return;
        };
        self.run.status = RunStatus::Running;
        let stored = if wait.result_key.is_some() {
            shape_subworkflow(&wait, payload)
        } else {
            payload
        };
        if wait.result_key.is_some() {
            self.complete_tool_record(&wait, &stored, now);
        }
        // The tool record has the results as they came; the state and the resume record what is kept of them.
        let stored = state.unwrap_or(stored);
        if wait.result_key.is_some() {
            self.store_result(wait.result_key.as_deref(), stored.clone());
        }
        self.resume_record(&wait, &stored, now);
        match wait.resume_to_node {
            Some(node) => self.run.current_node = node,
            None => self.complete_via_resume(&wait, stored, now),
        }
    }

    fn complete_via_resume(&mut self, wait: &Wait, stored: Value, now: Timestamp) {
        let output = json!({"success": true, "result": stored});
        self.run.status = RunStatus::Completed;
        let result = json!({
            "completed": true, "via": "resume", "wait_reason": wait.reason, "wait_key": wait.wait_key, "output": output,
        });
        self.plain_record(StepStatus::Completed, Some(&result), None, None, now);
        self.run.output = Some(output);
        self.status_record(now);
    }

    /// A tool batch that waited gets its `completed` record: same effect, key and attempt, the results as result.
    fn complete_tool_record(&mut self, wait: &Wait, stored: &Value, now: Timestamp) {
        let Some(open) = self.aux.tool_wait.take() else {
            return;
        };
        let is_tools =
            wait.result_key == open.result_key && matches!(wait.reason, WaitReason::User | WaitReason::Job);
        if is_tools {
            self.count(&open, stored);
            self.record(&open, StepStatus::Completed, Some(stored), None, Some(now));
        }
    }

    fn resume_record(&mut self, wait: &Wait, stored: &Value, now: Timestamp) {
        let mut effect = json!({
            "wait_reason": wait.reason, "wait_key": wait.wait_key, "resume_to_node": wait.resume_to_node,
            "result_key": wait.result_key, "payload": stored,
        });
        self.offload_payload(&mut effect["payload"]);
        let Value::Object(effect) = effect else { return };
        let result = json!({"resumed": true});
        let step_id = self.fresh_step();
        self.push(Row {
            step_id,
            node_id: None,
            status: StepStatus::Completed,
            effect: Some(("resume", &effect, None)),
            result: Some(&result),
            error: None,
            started_at: now,
            ended_at: Some(now),
            attempt: 1,
            key: None,
        });
    }
}

/// The end of a child as a tool result, where the wait asks for that form.
fn shape_subworkflow(wait: &Wait, payload: Value) -> Value {
    let Some(details) = wait.details.as_ref().and_then(Value::as_object) else {
        return payload;
    };
    let wrap = details.get("wrap_as_tool_result").is_some_and(ag_pyvalue::truthy);
    let is_envelope = payload.get("mode").is_some() && payload.get("results").is_some();
    if wait.reason != WaitReason::Subworkflow || !wrap || is_envelope {
        return payload;
    }
    tool_envelope(details, &payload)
}

/// Wraps `{sub_run_id, output}` as the result of the tool call that `details` names.
pub fn tool_envelope(details: &Object, payload: &Value) -> Value {
    let text = |key: &str, default: &str| {
        details
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .unwrap_or(default)
            .to_owned()
    };
    let output = payload.get("output").unwrap_or(&Value::Null);
    let failed = output.get("success") == Some(&Value::Bool(false));
    let (result, error) = if failed {
        let error = output
            .get("error")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        (Value::Null, Value::from(error.unwrap_or("Subworkflow failed")))
    } else {
        let answer = match output.get("answer").and_then(Value::as_str) {
            Some(answer) => answer.to_owned(),
            None => ag_pyvalue::dumps_unicode(output),
        };
        let mut result = Object::new();
        result.insert("rendered".into(), answer.clone().into());
        result.insert("answer".into(), answer.into());
        result.insert(
            "sub_run_id".into(),
            payload.get("sub_run_id").cloned().unwrap_or_default(),
        );
        if let Some(report) = output
            .get("report")
            .and_then(Value::as_str)
            .filter(|r| r.chars().count() <= 4000)
        {
            result.insert("report".into(), report.into());
        }
        (Value::Object(result), Value::Null)
    };
    json!({"mode": "executed", "results": [{
        "call_id": text("call_id", "subworkflow"), "name": text("tool_name", "start_subworkflow"),
        "success": !failed, "output": result, "error": error,
    }]})
}

#[cfg(test)]
mod tests;
