//! A stored run of the reference as a run of ours.
//!
//! The variables stay as they are, except for node traces (a projection of the ledger here, difference X18) and paths
//! of the old host. What the reference looks up in the ledger each time is worked out once: how often each node has
//! planned an effect, the tool batch behind an approval, and what a crash left between the ledger and the state.

#[cfg(test)]
mod tests;
mod unfinished;

use ag_effects::memory::recorded_row;
use ag_engine::codec;
use ag_store::{MemoryRow, NewRun, Placement, Segment, SpanEntry};
use ag_types::{Object, RunHead, RunId, RunState, RunStatus, Timestamp, Wait};
use serde::Deserialize;
use serde_json::Value;

use self::unfinished::engine_state;
use super::{digest::Digest, flows::Executes, paths::PathRewrite, plan::RunInfo};

/// What a run is converted with.
pub(super) struct Surroundings<'a> {
    pub(super) info: &'a RunInfo,
    pub(super) executes: Executes,
    /// Ancestors.
    pub(super) depth: u32,
    /// The waiting parent asked for node traces.
    pub(super) report_traces: bool,
    /// Node types of the workflow that nobody here knows.
    pub(super) foreign_types: Vec<String>,
    pub(super) paths: &'a PathRewrite,
}

/// A stored run, its keys in any order.
#[derive(Deserialize)]
struct StoredRun {
    status: String,
    #[serde(default)]
    current_node: Option<String>,
    #[serde(default)]
    vars: Option<Object>,
    #[serde(default)]
    waiting: Option<Object>,
    #[serde(default)]
    output: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    created_at: Option<String>,
    updated_at: Option<String>,
    #[serde(default)]
    actor_id: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
}

/// Remarks about one run for the report.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) paths: bool,
    pub(super) garbled_until: bool,
    pub(super) traces: bool,
    /// Spans of memory, which are rows of their owner here.
    pub(super) spans: Vec<SpanEntry>,
}

/// The run with the rest of its ledger.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn run(
    id: RunId,
    text: &str,
    digest: &mut Digest,
    around: &Surroundings<'_>,
    remarks: &mut Remarks,
) -> Result<NewRun, String> {
    let stored: StoredRun = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let status =
        RunStatus::parse(&stored.status).ok_or_else(|| format!("unknown status '{}'", stored.status))?;
    let time = |text: &Option<String>| text.as_deref().and_then(|text| Timestamp::parse(text).ok());
    let created_at = time(&stored.created_at).or_else(|| time(&stored.updated_at));
    let created_at = created_at.ok_or("neither created_at nor updated_at is a time")?;
    let updated_at = time(&stored.updated_at).unwrap_or(created_at);
    let mut vars = stored.vars.unwrap_or_default();
    remarks.traces |= drop_traces(&mut vars);
    remarks.spans = take_spans(&id.to_string(), &mut vars, updated_at);
    let moved = move_paths(&mut vars, around.paths);
    remarks.paths |= moved.is_some();
    let mut stored_wait = stored.waiting.map(Value::Object);
    if let Some((old, new)) = moved.filter(|_| !status.is_terminal()) {
        let changed = vars.values_mut().chain(&mut stored_wait);
        changed.for_each(|value| PathRewrite::everywhere(&old, &new, value));
    }
    let stored_wait = match stored_wait {
        Some(Value::Object(wait)) => Some(wait),
        _ => None,
    };
    let waiting = match (status, stored_wait) {
        (RunStatus::Waiting, Some(wait)) => Some(read_wait(wait, remarks)?),
        (RunStatus::Waiting, None) => return Err("it waits, but its wait is missing".to_owned()),
        _ => None,
    };
    let mut state = RunState {
        head: RunHead {
            run_id: id,
            workflow_id: around.info.workflow.clone(),
            actor_id: stored.actor_id.map(Into::into),
            session_id: stored.session_id.map(Into::into),
            parent_run_id: around.info.parent,
            created_at,
        },
        status,
        current_node: stored.current_node.unwrap_or_default(),
        vars,
        waiting,
        output: stored.output.filter(|output| !output.is_null()),
        error: stored.error.and_then(text_of),
        updated_at,
    };
    let aux = engine_state(&mut state, digest, around);
    let segments: Vec<Segment> = digest.take_rest();
    let bundle_sha256 = match &around.executes {
        Executes::Bundle(sha) => Some(sha.clone()),
        Executes::Stored | Executes::Nothing => None,
    };
    Ok(NewRun {
        pool: "default".into(),
        bundle_sha256,
        columns: codec::encode(&state, &aux, digest.counters),
        head: state.head,
        segments,
        last_seq: digest.records,
        placement: Placement::Terminal,
    })
}

/// Rewrites the workspace of a run; its former and its present root, if they differ.
fn move_paths(vars: &mut Object, paths: &PathRewrite) -> Option<(String, String)> {
    let root = |vars: &Object| {
        vars.get("workspace_root")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let old = root(vars);
    if !paths.vars(vars) {
        return None;
    }
    old.zip(root(vars))
        .filter(|(old, new)| old != new && !old.is_empty())
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn drop_traces(vars: &mut Object) -> bool {
    vars.get_mut("_runtime")
        .and_then(Value::as_object_mut)
        .is_some_and(|runtime| runtime.shift_remove("node_traces").is_some())
}

/// Takes the spans out of the variables; this gateway shows them there as a view of the rows.
fn take_spans(owner: &str, vars: &mut Object, now: Timestamp) -> Vec<SpanEntry> {
    let runtime = vars.get_mut("_runtime").and_then(Value::as_object_mut);
    match runtime.and_then(|runtime| runtime.shift_remove("memory_spans")) {
        Some(Value::Array(items)) => spans(owner, items, vars, now),
        _ => Vec::new(),
    }
}

/// Rows for the spans of an owner. What an archived conversation was about stands in the present one, in `vars`.
pub(super) fn spans(owner: &str, items: Vec<Value>, vars: &Object, now: Timestamp) -> Vec<SpanEntry> {
    let messages = vars
        .get("context")
        .and_then(|context| context.get("messages")?.as_array());
    let summary = |id: &str| {
        let is_it =
            |message: &&Value| message.pointer("/metadata/message_id").and_then(Value::as_str) == Some(id);
        messages?.iter().find(is_it)?.get("content")?.as_str()
    };
    let row = |span: Value| {
        let text = |key: &str| span.get(key).and_then(Value::as_str);
        let created = text("created_at").and_then(|text| Timestamp::parse(text).ok());
        let about = text("summary_message_id").and_then(summary);
        match recorded_row(owner, span, about, created.unwrap_or(now))? {
            MemoryRow::Span(entry) => Some(entry),
            MemoryRow::Assertion(_) => None,
        }
    };
    items.into_iter().filter_map(row).collect()
}

/// A wait with all that the reference allows and ours does not: a due time that is no time never comes.
fn read_wait(mut wait: Object, remarks: &mut Remarks) -> Result<Wait, String> {
    if let Some(Value::String(until)) = wait.get("until")
        && Timestamp::parse(until).is_err()
    {
        remarks.garbled_until = true;
        wait.insert("until".to_owned(), Value::Null);
    }
    if !wait.get("allow_free_text").is_some_and(Value::is_boolean) {
        wait.insert("allow_free_text".to_owned(), true.into());
    }
    for name in ["wait_key", "resume_to_node", "result_key", "prompt"] {
        if let Some(value) = wait
            .get_mut(name)
            .filter(|value| !value.is_string() && !value.is_null())
        {
            *value = Value::String(value.to_string());
        }
    }
    serde_json::from_value(Value::Object(wait)).map_err(|error| format!("its wait cannot be read: {error}"))
}
