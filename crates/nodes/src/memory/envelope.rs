//! Results of memory effects: `{"mode", "results": [{"success", "output", "meta", …}]}` with one entry.

use crate::prelude::*;

fn entry(raw: &Value) -> Option<&Value> {
    raw.get("results")?.get(0)
}

/// A field of the entry's meta object, or null.
pub(crate) fn meta(raw: &Value, key: &str) -> Value {
    entry(raw)
        .and_then(|entry| entry.get("meta")?.get(key))
        .cloned()
        .unwrap_or_default()
}

/// The text of the entry.
pub(crate) fn rendered(raw: &Value) -> Value {
    entry(raw)
        .and_then(|entry| entry.get("output"))
        .filter(|text| !text.is_null())
        .cloned()
        .unwrap_or(json!(""))
}

/// True if the entry says so.
pub(crate) fn succeeded(raw: &Value) -> bool {
    entry(raw).is_some_and(|entry| entry.get("success") == Some(&Value::Bool(true)))
}
