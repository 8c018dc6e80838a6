//! Split mode: what another service answers for us.

use std::time::Duration;

use ag_providers::{ModelService, ServiceCall, ServiceVerb};
use ag_types::Object;
use serde_json::{Value, json};

/// Limit of a control call that sets none: loading reads whole models.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What the operations here say about where their answers come from.
pub(super) fn facade(mut answer: Value) -> Value {
    if let Some(map) = answer.as_object_mut() {
        map.insert("source".to_owned(), "abstractruntime.host_facade".into());
        map.insert("route_available".to_owned(), true.into());
    }
    answer
}

/// Passes a request on. A failure of the service is an answer, not an error: these operations never fail.
pub(super) async fn ask(
    service: &dyn ModelService,
    verb: ServiceVerb,
    path: &str,
    fields: Object,
    operation: &str,
) -> Value {
    let seconds = fields.get("timeout_s").and_then(Value::as_f64);
    let timeout = seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(TIMEOUT);
    let set = fields.into_iter().filter(|(_, value)| !value.is_null());
    let answer = match verb {
        ServiceVerb::Get => {
            let query: Vec<(String, String)> = set.map(|(name, value)| (name, text(&value))).collect();
            let query: Vec<(&str, String)> = query.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
            let call = ServiceCall {
                query: &query,
                ..ServiceCall::new(verb, path, timeout)
            };
            service.ask(call).await
        }
        _ => {
            let body = Value::Object(set.collect());
            let call = ServiceCall {
                body: Some(&body),
                ..ServiceCall::new(verb, path, timeout)
            };
            service.ask(call).await
        }
    };
    answer.unwrap_or_else(|error| {
        json!({
            "ok": false, "supported": true, "operation": operation, "error": error.to_string(),
            "diagnostics": {"source": "abstractcore.server"},
        })
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
