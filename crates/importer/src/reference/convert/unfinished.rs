//! What a run that goes on needs besides its state: the effects its ledger left open.

use ag_kernel::{OpenEffect, PriorResult, RunAux};
use ag_types::{EffectKind, Object, RunState, RunStatus, StepId, Timestamp, Wait, WaitReason};
use serde::Deserialize;
use serde_json::Value;

use super::{Remarks, Surroundings, read_wait};
use crate::reference::digest::Digest;

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

/// The engine's own state of a run that goes on here.
pub(super) fn engine_state(state: &mut RunState, digest: &mut Digest, around: &Surroundings<'_>) -> RunAux {
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
