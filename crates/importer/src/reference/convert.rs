//! A stored run of the reference as a run of ours.
//!
//! The variables stay as they are, except for node traces (a projection of the ledger here, difference X18) and paths
//! of the old host. What the reference looks up in the ledger each time is worked out once: how often each node has
//! planned an effect, the tool batch behind an approval, and what a crash left between the ledger and the state.

use ag_effects::memory::recorded_row;
use ag_engine::codec;
use ag_kernel::{OpenEffect, PriorResult, RunAux};
use ag_store::{MemoryRow, NewRun, Placement, Segment, SpanEntry};
use ag_types::{
    EffectKind, Object, RunHead, RunId, RunState, RunStatus, StepId, Timestamp, Wait, WaitReason,
};
use serde::Deserialize;
use serde_json::Value;

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

/// A ledger record, as far as its effect can be taken up again.
#[derive(Deserialize)]
struct StoredRecord {
    step_id: String,
    node_id: String,
    status: String,
    effect: StoredEffect,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    ended_at: Option<String>,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct StoredEffect {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    payload: Option<Object>,
    #[serde(default)]
    result_key: Option<String>,
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

fn engine_state(state: &mut RunState, digest: &mut Digest, around: &Surroundings<'_>) -> RunAux {
    if state.status.is_terminal() {
        return RunAux::default();
    }
    let mut aux = RunAux {
        visits: std::mem::take(&mut digest.visits),
        depth: around.depth,
        report_traces: around.report_traces,
        foreign_types: around.foreign_types.clone(),
        ..RunAux::default()
    };
    let tool_wait = digest
        .tool_wait
        .take()
        .and_then(|line| serde_json::from_str(&line).ok());
    let last = digest
        .last_effect
        .take()
        .and_then(|line| serde_json::from_str(&line).ok());
    if state.status == RunStatus::Running
        && let Some(last) = last
    {
        after_crash(state, &mut aux, last);
    }
    if let Some(record) = tool_wait
        && let Some(wait) = &state.waiting
        && matches!(wait.reason, WaitReason::User | WaitReason::Job)
        && !wait.is_pause()
    {
        aux.tool_wait = tool_batch(record, wait, &aux);
    }
    aux
}

/// What the ledger knows and the state does not, because the process died between the two.
fn after_crash(state: &mut RunState, aux: &mut RunAux, last: StoredRecord) {
    let time = |text: &Option<String>| text.as_deref().and_then(|text| Timestamp::parse(text).ok());
    if last.node_id != state.current_node {
        return;
    }
    let since = match last.status.as_str() {
        "started" => time(&last.started_at),
        _ => time(&last.ended_at),
    };
    if since.is_none_or(|since| since < state.updated_at) {
        return;
    }
    // The node is planned again: the same visit, not a further one.
    let plan_again = |aux: &mut RunAux| {
        if let Some(count) = aux.visits.get_mut(&last.node_id) {
            *count = count.saturating_sub(1);
        }
    };
    match last.status.as_str() {
        "started" => plan_again(aux),
        "completed" => {
            plan_again(aux);
            if let (Some(key), Some(result)) = (
                last.idempotency_key,
                last.result.filter(|result| !result.is_null()),
            ) {
                aux.prior = Some(PriorResult {
                    node_id: last.node_id,
                    key,
                    result,
                });
            }
        }
        "waiting" => {
            // Whoever was asked has seen this wait: it is kept instead of being opened a second time.
            let wait = last
                .result
                .and_then(|mut result| result.get_mut("wait").map(Value::take));
            let wait = wait.and_then(|wait| match wait {
                Value::Object(wait) => read_wait(wait, &mut Remarks::default()).ok(),
                _ => None,
            });
            if let Some(wait) = wait {
                let temp = ag_kernel::vars::object_at(&mut state.vars, "_temp");
                temp.insert("prev_node_id".to_owned(), last.node_id.into());
                temp.insert("prev_next_node".to_owned(), wait.resume_to_node.clone().into());
                state.status = RunStatus::Waiting;
                state.waiting = Some(wait);
            }
        }
        _ => {}
    }
}

/// The batch whose `completed` record an answer of this wait writes.
fn tool_batch(record: StoredRecord, wait: &Wait, aux: &RunAux) -> Option<OpenEffect> {
    let recorded = record.result.as_ref()?.get("wait")?.get("wait_key")?.as_str()?;
    if wait.wait_key.as_deref() != Some(recorded) || record.effect.kind != EffectKind::ToolCalls.as_str() {
        return None;
    }
    let started_at = record
        .started_at
        .as_deref()
        .and_then(|text| Timestamp::parse(text).ok())?;
    Some(OpenEffect {
        visit: aux.visits.get(&record.node_id).copied().unwrap_or(1),
        node_id: record.node_id,
        kind: EffectKind::ToolCalls,
        payload: record.effect.payload.unwrap_or_default(),
        result_key: record.effect.result_key,
        next_node: wait.resume_to_node.clone(),
        step_id: record.step_id.parse::<StepId>().ok()?,
        key: record.idempotency_key.unwrap_or_default(),
        attempt: record.attempt.unwrap_or(1),
        started_at,
        called: true,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const RUN: &str = "8d6899dd-0000-4000-8000-000000000001";

    fn converted(run: &Value, records: &[Value]) -> (NewRun, RunAux, Remarks) {
        let id: RunId = RUN.parse().expect("id");
        let mut digest = Digest::default();
        for record in records {
            digest.push(&record.to_string());
        }
        let info = RunInfo::for_test("b@1:main");
        let around = Surroundings {
            info: &info,
            executes: Executes::Nothing,
            depth: 2,
            report_traces: false,
            foreign_types: Vec::new(),
            paths: &PathRewrite::new(Path::new("/nowhere"), Path::new("/new")),
        };
        let mut remarks = Remarks::default();
        let run = super::run(id, &run.to_string(), &mut digest, &around, &mut remarks).expect("converts");
        let aux = serde_json::from_str(&run.columns.meta).expect("aux");
        (run, aux, remarks)
    }

    fn stored(status: &str, waiting: Value) -> Value {
        json!({"run_id": RUN, "workflow_id": "b@1:main", "status": status, "current_node": "ask",
            "vars": {"_runtime": {"node_traces": {"ask": {}}, "model": "m"}, "x": 1}, "waiting": waiting,
            "output": null, "error": null, "created_at": "2026-01-01T00:00:00+00:00",
            "updated_at": "2026-01-01T00:00:05+00:00", "actor_id": "gateway", "session_id": "s", "parent_run_id": null})
    }

    fn record(status: &str, second: u8, kind: &str, result: Value) -> Value {
        let at = format!("2026-01-01T00:00:{second:02}+00:00");
        json!({"run_id": RUN, "step_id": "8d6899dd-0000-4000-8000-0000000000aa", "node_id": "ask", "status": status,
            "effect": {"type": kind, "payload": {"prompt": "?"}, "result_key": "_temp.effects.ask"}, "result": result,
            "error": null, "started_at": at, "ended_at": at, "attempt": 1, "idempotency_key": "k"})
    }

    fn wait(key: &str, until: Value) -> Value {
        json!({"reason": "user", "wait_key": key, "until": until, "resume_to_node": "end", "result_key": "_temp.effects.ask",
            "prompt": "?", "choices": [], "allow_free_text": true, "details": null})
    }

    #[test]
    fn visits_are_counted_and_traces_dropped() {
        let records = [
            record("started", 1, "ask_user", Value::Null),
            record("waiting", 1, "ask_user", json!({})),
            record("started", 4, "ask_user", Value::Null),
            record("waiting", 4, "ask_user", json!({})),
        ];
        let (run, aux, remarks) = converted(&stored("waiting", wait("user:x", "garbage".into())), &records);
        assert_eq!(aux.visits["ask"], 2);
        assert_eq!(aux.depth, 2);
        assert!(remarks.traces && remarks.garbled_until);
        assert_eq!(&*run.columns.vars, r#"{"_runtime":{"model":"m"},"x":1}"#);
        assert_eq!((run.last_seq, run.columns.wait_until), (4, None));
    }

    #[test]
    fn spans_in_variables_become_rows_of_the_run() {
        let mut run = stored("waiting", wait("user:x", Value::Null));
        let span = json!({"kind": "memory_note", "artifact_id": "ab", "created_at": "2026-01-01T00:00:01+00:00",
            "note_preview": "teal", "tags": {"topic": "colour"}});
        let archived =
            json!({"kind": "conversation_span", "artifact_id": "cd", "summary_message_id": "msg_1"});
        run["vars"]["_runtime"]["memory_spans"] = json!([span, "no span", archived]);
        run["vars"]["context"] = json!({"messages": [
            {"role": "user", "content": "hello"},
            {"role": "system", "content": "they talked", "metadata": {"message_id": "msg_1"}},
        ]});
        let (run, _, remarks) = converted(&run, &[]);
        assert!(!run.columns.vars.contains("memory_spans"));
        assert_eq!(remarks.spans.len(), 2);
        let body: Value = serde_json::from_str(&remarks.spans[1].body).expect("object");
        assert_eq!(
            body["text"], "they talked",
            "searched for and shown with the span"
        );
        let row = &remarks.spans[0];
        assert_eq!((row.owner_id.as_str(), row.span_id.as_str()), (RUN, "ab"));
        assert_eq!(row.created_at.to_string(), "2026-01-01T00:00:01+00:00");
        let body: Value = serde_json::from_str(&row.body).expect("object");
        assert_eq!(body["record"], span);
    }

    #[test]
    fn a_crash_before_the_end_of_an_effect_plans_the_same_visit_again() {
        let records = [record("started", 6, "llm_call", Value::Null)];
        let (_, aux, _) = converted(&stored("running", Value::Null), &records);
        assert_eq!(aux.visits["ask"], 0);
        assert_eq!(aux.prior, None);
    }

    #[test]
    fn a_result_that_the_state_lacks_is_kept_for_the_next_plan() {
        let records = [
            record("started", 6, "llm_call", Value::Null),
            record("completed", 7, "llm_call", json!({"content": "hi"})),
        ];
        let (_, aux, _) = converted(&stored("running", Value::Null), &records);
        assert_eq!(aux.visits["ask"], 0);
        assert_eq!(
            aux.prior.map(|prior| prior.result),
            Some(json!({"content": "hi"}))
        );
        // Older than the state: the run has come back to this node since.
        let records = [
            record("started", 2, "llm_call", Value::Null),
            record("completed", 3, "llm_call", json!({"content": "hi"})),
        ];
        let (_, aux, _) = converted(&stored("running", Value::Null), &records);
        assert_eq!((aux.visits["ask"], aux.prior), (1, None));
    }

    #[test]
    fn a_wait_that_the_state_lacks_is_adopted() {
        let records = [
            record("started", 6, "ask_user", Value::Null),
            record(
                "waiting",
                7,
                "ask_user",
                json!({"wait": wait("user:y", Value::Null)}),
            ),
        ];
        let (run, aux, _) = converted(&stored("running", Value::Null), &records);
        assert_eq!(run.columns.status, RunStatus::Waiting);
        assert_eq!(run.columns.wait_key.as_deref(), Some("user:y"));
        assert_eq!(aux.visits["ask"], 1);
    }

    #[test]
    fn a_waiting_batch_is_found_again() {
        let batch = json!({"wait": wait("tool_approval:1", Value::Null)});
        let records = [
            record("started", 4, "tool_calls", Value::Null),
            record("waiting", 4, "tool_calls", batch),
        ];
        let (_, aux, _) = converted(&stored("waiting", wait("tool_approval:1", Value::Null)), &records);
        let open = aux.tool_wait.expect("batch");
        assert_eq!(
            (open.key.as_str(), open.next_node.as_deref(), open.visit),
            ("k", Some("end"), 1)
        );
        let (_, aux, _) = converted(&stored("waiting", wait("tool_approval:2", Value::Null)), &records);
        assert_eq!(aux.tool_wait, None);
    }
}
