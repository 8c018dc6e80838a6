//! The sanitised `_run_lifecycle` of a run (runs contract §1.1).

use ag_types::Object;
use serde_json::Value;

const TEXT_KEYS: [&str; 8] = [
    "source",
    "purpose",
    "visibility",
    "run_mode",
    "editor_session_id",
    "flow_id",
    "bundle_id",
    "bundle_version",
];
const MAX_CHARS: usize = 240;

/// Keeps the known keys of a lifecycle object; `None` when nothing remains.
pub fn sanitise(value: &Value) -> Option<Object> {
    let given = value.as_object()?;
    let mut out = Object::new();
    for key in TEXT_KEYS {
        let text = given
            .get(key)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty());
        if let Some(text) = text {
            out.insert(
                key.to_owned(),
                text.chars().take(MAX_CHARS).collect::<String>().into(),
            );
        }
    }
    if let Some(retention) = given.get("retention").and_then(Value::as_object) {
        let mut kept = Object::new();
        for key in ["mode", "expires_at"] {
            let text = retention
                .get(key)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty());
            if let Some(text) = text {
                kept.insert(
                    key.to_owned(),
                    text.chars().take(MAX_CHARS).collect::<String>().into(),
                );
            }
        }
        if let Some(ttl) = retention
            .get("ttl_s")
            .and_then(Value::as_i64)
            .filter(|ttl| *ttl > 0)
        {
            kept.insert("ttl_s".to_owned(), ttl.into());
        }
        if !kept.is_empty() {
            out.insert("retention".to_owned(), Value::Object(kept));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The lifecycle stored in run variables.
pub fn of_vars(vars: &Object) -> Option<Object> {
    vars.get("_run_lifecycle").and_then(sanitise)
}

/// True for a draft test of the editor.
pub fn is_draft(lifecycle: &Object) -> bool {
    lifecycle.get("purpose").and_then(Value::as_str) == Some("draft_test")
}
