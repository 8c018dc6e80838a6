//! The same for operators, outside any run: every outcome is an answer, failures say what was asked for.

use ag_types::{Object, TenantScope};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Asker, ModelResidency, Operation, Row, State, TEXT, affected, of_runtime_id, text};

const NO_SELECTOR: &str = "model_residency unload requires runtime_id or provider/model";

impl ModelResidency {
    /// Performs an operation for an operator.
    pub async fn answer(
        &self,
        scope: &TenantScope,
        operation: Operation,
        mut payload: Object,
        cancel: &CancellationToken,
    ) -> Value {
        if operation == Operation::Load && text(&payload, "task").is_none() {
            payload.insert("task".to_owned(), TEXT.into());
        }
        let ctx = Asker { scope, cancel };
        let task = text(&payload, "task").unwrap_or_else(|| TEXT.to_owned());
        let (provider, model) = match operation {
            Operation::Unload => text(&payload, "runtime_id")
                .as_deref()
                .and_then(of_runtime_id)
                .map_or_else(
                    || named(&payload),
                    |(provider, model)| (Some(provider), Some(model)),
                ),
            _ => named(&payload),
        };
        if operation == Operation::Unload && (provider.is_none() || model.is_none()) {
            return json!({
                "ok": false, "success": false, "supported": true, "operation": operation.name(), "task": task,
                "unloaded": false, "error": NO_SELECTOR, "warnings": [NO_SELECTOR], "affected_models": [],
            });
        }
        let resolved = self
            .resolve(ctx, &payload, provider.as_deref(), model.as_deref())
            .await;
        let chosen = match resolved {
            Ok(chosen) => Some(chosen),
            // A listing tells what there is.
            Err(_) if operation == Operation::List => None,
            Err(error) => return unresolved(operation, &error.to_string()),
        };
        let hosted = chosen
            .as_ref()
            .is_some_and(|chosen| chosen.client.residency.is_none());
        if operation == Operation::Unload && hosted {
            return not_resident(&task, &provider.unwrap_or_default(), &model.unwrap_or_default());
        }
        match self.perform(ctx, &payload, operation).await {
            Ok(mut value) => {
                if let Some(map) = value.as_object_mut().filter(|_| operation != Operation::List) {
                    map.insert("task".to_owned(), task.into());
                }
                value
            }
            Err(error) => {
                let (provider, model) = match chosen {
                    Some(chosen) => (chosen.provider, chosen.model),
                    None => (provider.unwrap_or_default(), model.unwrap_or_default()),
                };
                failed(operation, &task, &provider, &model, &error.to_string())
            }
        }
    }
}

fn named(payload: &Object) -> (Option<String>, Option<String>) {
    (text(payload, "provider"), text(payload, "model"))
}

fn unresolved(operation: Operation, error: &str) -> Value {
    json!({
        "ok": false, "success": false, "supported": false, "operation": operation.name(),
        "code": "model_residency_error", "error": error, "warnings": [error], "affected_models": [],
    })
}

/// A row of a model that this service keeps nothing of.
fn absent(task: &str, provider: &str, model: &str) -> Value {
    let row = Row {
        provider,
        model,
        state: State::Unknown,
        default: false,
    };
    let mut row = row.listed();
    if let Some(map) = row.as_object_mut() {
        map.insert("task".to_owned(), task.into());
        map.insert(
            "runtime_id".to_owned(),
            format!("local:{task}:{provider}:{model}").into(),
        );
        map.insert("state".to_owned(), "not_found".into());
        map.insert("runtime_cached".to_owned(), false.into());
        map.insert("cache_state".to_owned(), "not_cached".into());
        map.shift_remove("warnings");
    }
    row
}

fn not_resident(task: &str, provider: &str, model: &str) -> Value {
    let row = absent(task, provider, model);
    json!({
        "ok": true, "supported": true, "operation": "unload", "task": task, "unloaded": false,
        "runtime_cache_unloaded": false, "warnings": ["Requested local runtime was not resident."],
        "diagnostics": {"source": "abstractruntime.multilocal", "reason": "not_found"}, "success": true,
        "affected_models": [affected(&row, Operation::Unload, "not_found", false)],
        "runtime": row,
    })
}

fn failed(operation: Operation, task: &str, provider: &str, model: &str, error: &str) -> Value {
    let row = absent(task, provider, model);
    let action = match operation {
        Operation::Unload => "unload_failed",
        Operation::List | Operation::Load => "load_failed",
    };
    let mut value = json!({
        "ok": false, "supported": true, "operation": operation.name(), "task": task, "provider": provider,
        "model": model, "error": error, "warnings": [error], "status_hint": "warning", "degraded": true,
        "diagnostics": {"source": "abstractruntime.multilocal"}, "success": false,
        "affected_models": [affected(&row, operation, action, false)],
        "runtime": row,
    });
    let changed = match operation {
        Operation::Unload => "unloaded",
        Operation::List | Operation::Load => "loaded_new",
    };
    if let Some(map) = value.as_object_mut() {
        map.insert(changed.to_owned(), false.into());
    }
    value
}
