//! A batch of tool calls without its tools: which calls may run, what a wait records, how results come together.
//!
//! Everything here is pure. The indexes are those of the calls as they were asked for; a result is found again by its
//! index, since call ids may repeat.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::call::{Object, ToolCall, ToolResult};
use crate::mode::ToolMode;
use crate::workspace::{PathError, WorkspacePolicy, rewrite_arguments};

/// The tool that the runtime executes itself, in every mode.
pub const OPEN_ATTACHMENT: &str = "open_attachment";

/// Why a call does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// Not an object.
    NotACall,
    /// No name while an allow-list is active.
    NoName,
    /// Outside the node's allow-list.
    NotAllowed,
    /// Refused by the workspace policy; a session attachment with that handle may serve it instead.
    Workspace(PathError),
}

/// A call that was answered with a failure before anything ran.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// Why.
    pub reason: BlockReason,
    /// As asked for; `None` when the entry was not an object.
    pub call: Option<ToolCall>,
    /// Its failure record.
    pub result: ToolResult,
}

/// A batch, taken apart.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Entries in the request.
    pub original_call_count: usize,
    /// Answered with a failure.
    pub blocked: BTreeMap<usize, Blocked>,
    /// To be executed by the runtime itself, whatever the mode.
    pub runtime_owned: BTreeMap<usize, ToolCall>,
    /// To be decided by the tool mode; arguments are rewritten for the workspace.
    pub pending: BTreeMap<usize, ToolCall>,
    /// Results that the runtime already has.
    pub pre_results: BTreeMap<usize, Value>,
    /// The calls behind those results.
    served: BTreeMap<usize, ToolCall>,
}

impl Batch {
    /// Takes the `tool_calls` of a payload apart.
    ///
    /// `allowed` is the node's allow-list, `None` when there is none; `workspace` scopes paths when the run has one.
    #[must_use]
    pub fn split(calls: &[Value], allowed: Option<&[String]>, workspace: Option<&WorkspacePolicy>) -> Self {
        let allowed: Option<BTreeSet<&str>> =
            allowed.map(|names| names.iter().map(|name| name.trim()).collect());
        let mut batch = Self {
            original_call_count: calls.len(),
            ..Self::default()
        };
        for (index, value) in calls.iter().enumerate() {
            let Some(mut call) = ToolCall::from_value(value) else {
                batch.block(index, None, BlockReason::NotACall);
                continue;
            };
            let reason = match &allowed {
                Some(_) if call.name.is_empty() => Some(BlockReason::NoName),
                Some(names) if !names.contains(call.name.as_str()) => Some(BlockReason::NotAllowed),
                _ => None,
            };
            if let Some(reason) = reason {
                batch.block(index, Some(call), reason);
                continue;
            }
            if call.name == OPEN_ATTACHMENT {
                batch.runtime_owned.insert(index, call);
                continue;
            }
            if let Some(policy) = workspace
                && let Err(error) = rewrite_arguments(policy, &call.name, &mut call.arguments)
            {
                // The model's own arguments: an attachment is looked up by them.
                batch.block(index, ToolCall::from_value(value), BlockReason::Workspace(error));
                continue;
            }
            batch.pending.insert(index, call);
        }
        batch
    }

    fn block(&mut self, index: usize, call: Option<ToolCall>, reason: BlockReason) {
        let text = match (&reason, &call) {
            (BlockReason::NotACall, _) => "Invalid tool call (expected an object)".to_owned(),
            (BlockReason::NoName, _) => "Tool call missing a valid name".to_owned(),
            (BlockReason::NotAllowed, call) => {
                let name = call.as_ref().map(|call| call.name.as_str()).unwrap_or_default();
                format!("Tool '{name}' is not allowed for this node")
            }
            (BlockReason::Workspace(error), _) => error.to_string(),
        };
        let nameless = ToolCall {
            name: String::new(),
            arguments: Object::new(),
            call_id: String::new(),
            runtime_call_id: None,
        };
        let result = ToolResult::failure(call.as_ref().unwrap_or(&nameless), text);
        self.blocked.insert(index, Blocked { reason, call, result });
    }

    /// Records what the runtime answered itself: `open_attachment`, or an attachment that serves a refused path.
    pub fn serve(&mut self, index: usize, result: Value) {
        let refused = self.blocked.remove(&index).and_then(|blocked| blocked.call);
        if let Some(call) = self.runtime_owned.remove(&index).or(refused) {
            self.served.insert(index, call);
        }
        self.pre_results.insert(index, result);
    }

    /// Whether any call was answered without the tools, so that results must be put back by index.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        !self.blocked.is_empty() || !self.pre_results.is_empty()
    }

    /// The whole result list from the results of the pending calls, in their order.
    #[must_use]
    pub fn merge(&self, pending: Vec<Value>) -> Vec<Value> {
        let mut known = self.pre_results.clone();
        known.extend(
            self.blocked
                .iter()
                .map(|(index, blocked)| (*index, blocked.result.clone().into_value())),
        );
        merge_by_index(self.original_call_count, known, pending)
    }

    /// `details` of an approval wait; `trusted` as in [`ToolMode::decide`].
    #[must_use]
    pub fn approval_details(&self, mode: ToolMode, trusted: &[String]) -> Object {
        let mut details = self.details("approval_required");
        details.insert(
            "executor".to_owned(),
            json!({"kind": "tool_approval", "policy": mode.policy(trusted)}),
        );
        self.add_indexes(&mut details);
        details
    }

    /// `details` of a wait for an external executor.
    #[must_use]
    pub fn delegated_details(&self) -> Object {
        let mut details = self.details("delegated");
        self.add_indexes(&mut details);
        details
    }

    fn details(&self, mode: &str) -> Object {
        let mut details = Object::new();
        details.insert("mode".to_owned(), json!(mode));
        details.insert(
            "tool_calls".to_owned(),
            self.pending.values().map(ToolCall::to_value).collect(),
        );
        details
    }

    /// The keys that exist only when some calls were answered already.
    fn add_indexes(&self, details: &mut Object) {
        if !self.is_mixed() {
            return;
        }
        details.insert("original_call_count".to_owned(), json!(self.original_call_count));
        if !self.blocked.is_empty() {
            let blocked: Object = self
                .blocked
                .iter()
                .map(|(index, blocked)| (index.to_string(), blocked.result.clone().into_value()))
                .collect();
            details.insert("blocked_by_index".to_owned(), Value::Object(blocked));
        }
        if !self.pre_results.is_empty() {
            let results: Object = self
                .pre_results
                .iter()
                .map(|(index, result)| (index.to_string(), result.clone()))
                .collect();
            details.insert("pre_results_by_index".to_owned(), Value::Object(results));
        }
        details.insert("tool_calls_for_evidence".to_owned(), self.calls_for_evidence());
    }

    /// All calls in their order, those refused without their arguments, for the evidence of the finished batch.
    fn calls_for_evidence(&self) -> Value {
        let known = |index| {
            let call = self.pending.get(&index).or_else(|| self.served.get(&index));
            call.or_else(|| self.runtime_owned.get(&index))
                .map(ToolCall::to_value)
        };
        let refused = |index| {
            let result = &self.blocked.get(&index)?.result;
            let call = ToolCall {
                name: result.name.clone(),
                arguments: Object::new(),
                call_id: result.call_id.clone(),
                runtime_call_id: result.runtime_call_id.clone(),
            };
            Some(call.to_value())
        };
        (0..self.original_call_count)
            .filter_map(|index| known(index).or_else(|| refused(index)))
            .collect()
    }
}

/// What a user's answer to an approval wait says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Run the stored calls.
    Approved,
    /// Answer every stored call with this failure.
    Denied(String),
    /// Results that came with the answer.
    Results(Vec<Value>),
    /// Neither a choice nor results: stored as it is, the batch then has no results.
    Other,
}

impl Answer {
    /// Reads the payload of a resume. Ready results win over a choice; `approved` counts by truth as in Python.
    #[must_use]
    pub fn read(payload: &Value) -> Self {
        let Some(payload) = payload.as_object() else {
            return Self::Other;
        };
        if payload.contains_key("mode")
            && let Some(Value::Array(results)) = payload.get("results")
        {
            return Self::Results(results.clone());
        }
        match payload.get("approved") {
            Some(choice) if ag_pyvalue::truthy(choice) => Self::Approved,
            Some(_) => {
                let reason = payload
                    .get("reason")
                    .and_then(Value::as_str)
                    .map(str::trim)
                    .unwrap_or_default();
                Self::Denied(if reason.is_empty() {
                    "Denied by user".to_owned()
                } else {
                    reason.to_owned()
                })
            }
            None => Self::Other,
        }
    }
}

/// The calls stored in the details of a wait.
#[must_use]
pub fn waiting_calls(details: &Object) -> Vec<ToolCall> {
    let calls = details.get("tool_calls").and_then(Value::as_array);
    calls
        .into_iter()
        .flatten()
        .filter_map(ToolCall::from_value)
        .collect()
}

/// One failure per stored call.
#[must_use]
pub fn denied_results(calls: &[ToolCall], reason: &str) -> Vec<Value> {
    calls
        .iter()
        .map(|call| ToolResult::failure(call, reason).into_value())
        .collect()
}

/// Puts the results of the stored calls back among those that were known before the wait. A list that is complete
/// already stays as it is.
#[must_use]
pub fn merge_waiting(details: &Object, results: Vec<Value>) -> Vec<Value> {
    let count = details
        .get("original_call_count")
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok());
    let mut known = BTreeMap::new();
    for key in ["pre_results_by_index", "blocked_by_index"] {
        for (index, result) in details.get(key).and_then(Value::as_object).into_iter().flatten() {
            if let Ok(index) = index.parse::<usize>() {
                known.insert(index, result.clone());
            }
        }
    }
    let stored = details
        .get("tool_calls")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    match count {
        // The details were written by us, but they also pass through imports: no count beyond what is there.
        Some(count) if count != results.len() && count <= known.len() + stored => {
            merge_by_index(count, known, results)
        }
        _ => results,
    }
}

/// `{"mode":"executed","results":[…]}`.
#[must_use]
pub fn executed(results: Vec<Value>) -> Value {
    Value::Object(Object::from_iter([
        ("mode".to_owned(), json!("executed")),
        ("results".to_owned(), Value::Array(results)),
    ]))
}

fn merge_by_index(count: usize, mut known: BTreeMap<usize, Value>, pending: Vec<Value>) -> Vec<Value> {
    let mut pending = pending.into_iter();
    (0..count)
        .map(|index| {
            known
                .remove(&index)
                .or_else(|| pending.next())
                .unwrap_or_else(missing)
        })
        .collect()
}

fn missing() -> Value {
    json!({
        "call_id": "",
        "runtime_call_id": null,
        "name": "",
        "success": false,
        "output": null,
        "error": "Missing tool result",
    })
}

#[cfg(test)]
mod tests;
