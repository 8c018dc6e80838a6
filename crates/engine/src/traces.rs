//! Node traces, projected from a run's ledger when somebody asks (difference X18).

use ag_store::{Store, StoreError};
use ag_types::{RunId, TenantScope};
use serde_json::{Map, Value, json};

/// Steps kept per node.
const STEPS_PER_NODE: usize = 100;
/// Records read of one run; older ones cannot be among the last hundred steps of its nodes in practice.
const MAX_RECORDS: usize = 20_000;

/// The traces of a run: `{node: {node_id, steps[], updated_at}}`. `unwritten` are records of the commit being made.
///
/// # Errors
/// [`StoreError`] when the ledger cannot be read.
pub async fn of_run(
    store: &dyn Store,
    scope: &TenantScope,
    run: RunId,
    unwritten: &[String],
) -> Result<Value, StoreError> {
    let mut traces = Map::new();
    if let Some(page) = store.ledger(scope, run, 0, MAX_RECORDS).await? {
        for (_, line) in page.records() {
            add(&mut traces, line);
        }
    }
    for line in unwritten {
        add(&mut traces, line);
    }
    Ok(Value::Object(traces))
}

/// Adds one ledger line: only ends of effects are steps of a trace.
fn add(traces: &mut Map<String, Value>, line: &str) {
    let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(line) else {
        return;
    };
    let text =
        |record: &Map<String, Value>, key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(status) = text(&record, "status").filter(|status| status != "started") else {
        return;
    };
    let Some(effect @ Value::Object(_)) = record.shift_remove("effect") else {
        return;
    };
    let kind = effect.get("type").and_then(Value::as_str).unwrap_or_default();
    let key = text(&record, "idempotency_key").unwrap_or_default();
    if kind == "resume" || key.starts_with("system:") {
        return;
    }
    let Some(node) = text(&record, "node_id") else {
        return;
    };
    let started = text(&record, "started_at").unwrap_or_default();
    let ended = text(&record, "ended_at").unwrap_or_default();
    let mut step = json!({
        "ts": started, "node_id": node, "status": status, "idempotency_key": key, "reused_prior_result": false,
        "effect": effect, "duration_ms": duration_ms(&started, &ended),
    });
    let result = record.shift_remove("result").unwrap_or_default();
    let (name, value) = match status.as_str() {
        "failed" => ("error", record.shift_remove("error").unwrap_or_default()),
        "waiting" => ("wait", result.get("wait").cloned().unwrap_or_default()),
        _ => ("result", result),
    };
    step[name] = value;
    let entry = traces
        .entry(node.clone())
        .or_insert_with(|| json!({"node_id": node, "steps": [], "updated_at": ended}));
    entry["updated_at"] = ended.into();
    if let Some(steps) = entry["steps"].as_array_mut() {
        if steps.len() >= STEPS_PER_NODE {
            steps.remove(0);
        }
        steps.push(step);
    }
}

fn duration_ms(started: &str, ended: &str) -> Option<f64> {
    let started = ag_types::Timestamp::parse(started).ok()?;
    let ended = ag_types::Timestamp::parse(ended).ok()?;
    Some(ended.micros_since(started) as f64 / 1000.0)
}
