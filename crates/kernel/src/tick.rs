//! One tick: steps in memory, with the records they write.
//!
//! The driver calls [`Tick::step`] until it rests or asks for an effect, performs the effect, and folds its
//! [`Outcome`] back with [`Tick::apply`]. Nothing is durable before the driver commits what [`Tick::take_writes`]
//! hands over together with the state; a tick that is dropped has not happened.

mod records;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ag_types::{
    EffectKind, IdGen, Object, RunId, RunState, RunStatus, StepStatus, Timestamp, Wait, WaitReason,
};
use serde_json::{Value, json};

use crate::{
    Exception, Interrupt, OffloadedValue, StepEnv, Workflow,
    aux::{Asked, OpenEffect, RunAux},
    host::HostCall,
    keys, prepare, vars, waits,
};

pub(crate) use records::Row;

/// What a tick has written since the last commit.
#[derive(Debug, Default)]
pub struct Writes {
    /// Ledger records as JSON lines.
    pub records: Vec<String>,
    /// Values taken out of records; to be stored before the commit.
    pub offloaded: Vec<OffloadedValue>,
    /// Sums over the records.
    pub counts: Counts,
}

/// Sums over completed records (kernel spec §7.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Completed records.
    pub steps: i32,
    /// Completed model calls.
    pub llm_calls: i32,
    /// Calls in completed tool batches.
    pub tool_calls: i32,
    /// `result.usage.total_tokens`.
    pub tokens_total: i64,
}

/// An effect to perform. Its `started` record is in the write set (unless it resumes one that was never called).
#[derive(Debug, Clone, PartialEq)]
pub struct EffectRequest {
    /// Identity and payload; the same value is kept in the run's own state until the effect ends.
    pub open: OpenEffect,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Done {
        /// As recorded in the ledger.
        result: Value,
        /// As kept in the state, where it differs (evidence taken out).
        state: Option<Value>,
    },
    /// It waits.
    Waiting(Wait),
    /// It failed; the run fails with it.
    Failed(String),
    /// It stays open, without a record, until another run has answered by mail.
    Asked {
        /// Who answers.
        target: RunId,
    },
}

/// A change of run variables that an effect asks for; handlers never touch the state themselves.
#[derive(Debug, Clone, PartialEq)]
pub enum VarChange {
    /// Write at a dotted path.
    Set(String, Value),
    /// Remove the value at a dotted path.
    Remove(String),
    /// Append to the list at a dotted path (created where missing).
    Append(String, Vec<Value>),
}

/// Result of [`Tick::step`].
#[derive(Debug, PartialEq)]
pub enum Stepped {
    /// The cursor moved; call again.
    Moved,
    /// An effect is wanted.
    Effect(Box<EffectRequest>),
    /// The run waits.
    Waiting,
    /// The run ended.
    Terminal,
}

/// A run being ticked.
pub struct Tick {
    /// State of the run.
    pub run: RunState,
    /// The engine's own state.
    pub aux: RunAux,
    writes: Writes,
    max_inline: usize,
    ids: Arc<dyn IdGen>,
}

impl Tick {
    /// Begins a tick. `max_inline` is the offload threshold in bytes, 0 = never.
    pub fn new(run: RunState, aux: RunAux, max_inline: usize, ids: Arc<dyn IdGen>) -> Self {
        Self {
            run,
            aux,
            writes: Writes::default(),
            max_inline,
            ids,
        }
    }

    /// Hands over what was written since the last call.
    pub fn take_writes(&mut self) -> Writes {
        std::mem::take(&mut self.writes)
    }

    /// True when there is something to commit besides the state.
    pub fn has_writes(&self) -> bool {
        !self.writes.records.is_empty()
    }

    /// The offload threshold.
    pub fn max_inline(&self) -> usize {
        self.max_inline
    }

    /// Wakes a run whose `until` wait is due: no record, nothing is written at `result_key` (kernel spec §2.1).
    /// Returns false when the run rests on anything else or is not due.
    pub fn wake_if_due(&mut self, now: Timestamp) -> bool {
        let Some(wait) = &self.run.waiting else {
            return false;
        };
        let due = wait.reason == WaitReason::Until && wait.until.is_some_and(|until| until <= now);
        if !due || self.run.is_paused() {
            return false;
        }
        let target = self.run.waiting.take().and_then(|wait| wait.resume_to_node);
        match target {
            Some(node) => {
                self.run.status = RunStatus::Running;
                self.run.current_node = node;
            }
            None => self.complete(json!({"success": true, "result": null}), now, false),
        }
        true
    }

    /// Executes one step of a running run.
    ///
    /// # Errors
    /// The host question that must be answered before the step can be planned; nothing has changed then.
    pub fn step(&mut self, workflow: &dyn Workflow, env: &StepEnv<'_>) -> Result<Stepped, Box<HostCall>> {
        if self.run.status.is_terminal() {
            return Ok(Stepped::Terminal);
        }
        if self.run.status == RunStatus::Waiting {
            return Ok(Stepped::Waiting);
        }
        if self.aux.open.is_some() {
            if self.aux.asked.is_some() {
                return Ok(Stepped::Waiting);
            }
            return Ok(self.reopen(env));
        }
        let plan = match workflow.plan(&mut self.run, env) {
            Ok(plan) => plan,
            Err(Interrupt::Host(call)) => return Err(call),
            Err(Interrupt::Raise(exception)) => {
                self.fail_tick(&exception, env);
                return Ok(Stepped::Terminal);
            }
        };
        if let Some(output) = plan.complete {
            self.complete(output, env.now, true);
            return Ok(Stepped::Terminal);
        }
        let Some(effect) = plan.effect else {
            let Some(next) = plan.next_node else {
                let node = &self.run.current_node;
                let text = format!("Node '{node}' returned no effect and no next_node");
                self.fail_tick(&Exception::value(text), env);
                return Ok(Stepped::Terminal);
            };
            self.transition(next);
            return Ok(Stepped::Moved);
        };
        Ok(self.begin(effect, plan.next_node, env))
    }

    fn begin(&mut self, effect: ag_types::Effect, next_node: Option<String>, env: &StepEnv<'_>) -> Stepped {
        let node_id = self.run.current_node.clone();
        for warning in prepare::tool_warnings(&node_id, effect.kind, &effect.payload) {
            self.warn_once(warning);
        }
        let visit = {
            let count = self.aux.visits.entry(node_id.clone()).or_default();
            *count += 1;
            *count
        };
        let key = keys::effect_key(
            self.run.head.run_id,
            &node_id,
            effect.kind,
            &effect.payload,
            visit,
        );
        if let Some(result) = self.take_prior(&node_id, &effect) {
            return self.go_on(effect.result_key.as_deref(), next_node, result, env.now);
        }
        let mut payload = effect.payload;
        prepare::complete(effect.kind, &mut payload, &key, env.now, env.zone);
        let mut open = OpenEffect {
            node_id,
            kind: effect.kind,
            payload,
            result_key: effect.result_key,
            next_node,
            step_id: env.ids.step_id(),
            key,
            visit,
            attempt: 1,
            started_at: env.now,
            called: false,
        };
        if open.kind == EffectKind::LlmCall {
            prepare::stamp_attempt(&mut open.payload, open.step_id, &open.key, open.attempt);
        }
        self.record(&open, StepStatus::Started, None, None, None);
        if let Some(outcome) = waits::perform(&open, &self.run, env) {
            return self.finish(open, outcome, env);
        }
        self.aux.open = Some(open.clone());
        Stepped::Effect(Box::new(EffectRequest { open }))
    }

    /// The stored end of this very effect. Whatever is planned next, the chance is gone: a later visit executes.
    fn take_prior(&mut self, node: &str, effect: &ag_types::Effect) -> Option<Value> {
        let prior = self.aux.prior.take()?;
        let key = keys::effect_key(self.run.head.run_id, node, effect.kind, &effect.payload, 1);
        (prior.node_id == node && prior.key == key).then_some(prior.result)
    }

    /// Takes up an effect whose `started` record is stored: the same record if it was never called, otherwise a new
    /// attempt under the same key.
    fn reopen(&mut self, env: &StepEnv<'_>) -> Stepped {
        let Some(mut open) = self.aux.open.take() else {
            return Stepped::Moved;
        };
        if open.called {
            open.attempt += 1;
            open.step_id = env.ids.step_id();
            open.started_at = env.now;
            open.called = false;
            if open.kind == EffectKind::LlmCall {
                prepare::stamp_attempt(&mut open.payload, open.step_id, &open.key, open.attempt);
            }
            self.record(&open, StepStatus::Started, None, None, None);
        }
        self.aux.open = Some(open.clone());
        Stepped::Effect(Box::new(EffectRequest { open }))
    }

    /// Notes that the outside is about to be called: from the next commit on a crash counts as an attempt.
    pub fn mark_called(&mut self) {
        if let Some(open) = &mut self.aux.open {
            open.called = true;
        }
    }

    /// Notes that the open effect has certainly not been called (a pause came first).
    pub fn mark_not_called(&mut self) {
        if let Some(open) = &mut self.aux.open {
            open.called = false;
        }
    }

    /// Folds the end of the open effect into the run. Without an open effect nothing happens.
    pub fn apply(&mut self, outcome: Outcome, changes: Vec<VarChange>, env: &StepEnv<'_>) -> Stepped {
        let Some(open) = self.aux.open.take() else {
            return Stepped::Moved;
        };
        self.aux.asked = None;
        self.change_vars(changes);
        if let Outcome::Asked { target } = outcome {
            self.aux.open = Some(open);
            self.aux.asked = Some(Asked { target, reply: None });
            return Stepped::Waiting;
        }
        self.finish(open, outcome, env)
    }

    /// Records an effect that is none of the workflow's steps: the run's position does not change.
    pub fn record_beside(
        &mut self,
        open: &OpenEffect,
        status: StepStatus,
        end: Result<&Value, &str>,
        now: Timestamp,
    ) {
        let ended = (status != StepStatus::Started).then_some(now);
        let result = end.ok().filter(|_| status == StepStatus::Completed);
        self.record(open, status, result, end.err(), ended);
    }

    /// Applies variable changes of an effect.
    pub fn change_vars(&mut self, changes: Vec<VarChange>) {
        for change in changes {
            match change {
                VarChange::Set(path, value) => vars::set_path(&mut self.run.vars, &path, value),
                VarChange::Remove(path) => {
                    vars::remove_path(&mut self.run.vars, &path);
                }
                VarChange::Append(path, items) => append(&mut self.run.vars, &path, items),
            }
        }
    }

    fn finish(&mut self, open: OpenEffect, outcome: Outcome, env: &StepEnv<'_>) -> Stepped {
        let ended = env.clock.now().max(open.started_at);
        let outcome = match outcome {
            Outcome::Done { result, .. } if vars::is_deeper_than(&result, vars::MAX_RESULT_DEPTH) => {
                Outcome::Failed(format!("{} result is nested too deeply", open.kind.as_str()))
            }
            other => other,
        };
        match outcome {
            Outcome::Failed(error) => {
                self.record(&open, StepStatus::Failed, None, Some(&error), Some(ended));
                self.run.status = RunStatus::Failed;
                // The count is of tries by policy, not of attempts after crashes; the policy is one try.
                self.run.error = Some(format!("Effect failed after 1 attempts: {error}"));
                self.status_record(ended);
                Stepped::Terminal
            }
            // Handled by the caller; an effect that the kernel performs itself asks nobody.
            Outcome::Asked { .. } => Stepped::Waiting,
            Outcome::Waiting(wait) => {
                let result = json!({ "wait": wait });
                self.record(&open, StepStatus::Waiting, Some(&result), None, Some(ended));
                self.note_transition(open.next_node.as_deref());
                self.run.status = RunStatus::Waiting;
                self.run.waiting = Some(wait);
                if open.kind == EffectKind::ToolCalls {
                    self.aux.tool_wait = Some(open);
                }
                Stepped::Waiting
            }
            Outcome::Done { result, state } => {
                self.count(&open, &result);
                self.record(&open, StepStatus::Completed, Some(&result), None, Some(ended));
                if open.kind == EffectKind::LlmCall {
                    self.note_tokens(&result);
                }
                self.go_on(
                    open.result_key.as_deref(),
                    open.next_node,
                    state.unwrap_or(result),
                    ended,
                )
            }
        }
    }

    fn go_on(
        &mut self,
        result_key: Option<&str>,
        next: Option<String>,
        result: Value,
        now: Timestamp,
    ) -> Stepped {
        match next {
            Some(next) => {
                self.store_result(result_key, result);
                self.transition(next);
                Stepped::Moved
            }
            None => {
                self.store_result(result_key, result.clone());
                self.complete(json!({"success": true, "result": result}), now, false);
                Stepped::Terminal
            }
        }
    }

    pub(crate) fn store_result(&mut self, result_key: Option<&str>, result: Value) {
        if let Some(path) = result_key.filter(|_| !result.is_null()) {
            vars::set_path(&mut self.run.vars, path, result);
        }
    }

    /// Ends the run with an output; `with_record` writes the completion row before the status row.
    pub(crate) fn complete(&mut self, output: Value, now: Timestamp, with_record: bool) {
        self.run.status = RunStatus::Completed;
        self.run.waiting = None;
        if with_record {
            let result = json!({"completed": true, "output": output});
            self.plain_record(StepStatus::Completed, Some(&result), None, None, now);
        }
        self.run.output = Some(output);
        self.status_record(now);
    }

    fn fail_tick(&mut self, exception: &Exception, env: &StepEnv<'_>) {
        let text = exception.to_string();
        self.run.status = RunStatus::Failed;
        self.run.waiting = None;
        let key = format!("system:tick_exception:{}", self.run.head.run_id);
        self.plain_record(StepStatus::Failed, None, Some(&text), Some(&key), env.now);
        self.run.error = Some(text);
    }

    /// Fails the run like an exception that escapes a step; for errors found outside planning (a lost workflow).
    pub fn fail(&mut self, exception: &Exception, env: &StepEnv<'_>) {
        self.aux.open = None;
        self.aux.asked = None;
        self.fail_tick(exception, env);
    }

    fn transition(&mut self, next: String) {
        self.note_transition(Some(&next));
        self.run.current_node = next;
    }

    fn note_transition(&mut self, next: Option<&str>) {
        let next = next.map_or(Value::Null, Value::from);
        let node = Value::String(self.run.current_node.clone());
        let temp = vars::object_at(&mut self.run.vars, "_temp");
        temp.insert("prev_node_id".to_owned(), node);
        temp.insert("prev_next_node".to_owned(), next);
    }

    fn note_tokens(&mut self, result: &Value) {
        let usage = result.get("usage");
        let tokens = ["input_tokens", "prompt_tokens", "total_tokens"]
            .iter()
            .find_map(|key| usage?.get(*key).filter(|value| !value.is_null()).cloned());
        if let Some(tokens) = tokens {
            vars::object_at(&mut self.run.vars, "_limits").insert("estimated_tokens_used".to_owned(), tokens);
        }
    }

    fn warn_once(&mut self, warning: String) {
        let list = self.run.vars.entry("_flow_warnings").or_insert_with(|| json!([]));
        if let Value::Array(items) = list {
            let warning = Value::String(warning);
            if !items.contains(&warning) {
                items.push(warning);
            }
        }
    }
}

fn append(root: &mut Object, path: &str, mut items: Vec<Value>) {
    let (parent, key) = path
        .rsplit_once('.')
        .map_or((None, path), |(parent, key)| (Some(parent), key));
    let map = match parent {
        Some(parent) => vars::object_at(root, parent),
        None => root,
    };
    match map.get_mut(key) {
        Some(Value::Array(list)) => list.append(&mut items),
        _ => {
            map.insert(key.to_owned(), Value::Array(items));
        }
    }
}
