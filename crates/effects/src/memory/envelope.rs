//! Results in the form of tool results, so that agents and nodes read them alike.

use ag_types::Object;
use serde_json::{Value, json};

use super::owners::text;

/// `{"mode": "executed", "results": [one]}`; `meta` is left out where the effect says nothing.
pub(super) fn envelope(payload: &Object, tool: &str, output: String, meta: Option<Value>) -> Value {
    let mut result = Object::new();
    let name = text(payload, "tool_name").unwrap_or_else(|| tool.to_owned());
    let call = text(payload, "call_id").unwrap_or_else(|| "memory".to_owned());
    result.insert("call_id".to_owned(), call.into());
    result.insert("name".to_owned(), name.into());
    result.insert("success".to_owned(), true.into());
    result.insert("output".to_owned(), output.into());
    result.insert("error".to_owned(), Value::Null);
    result.extend(meta.map(|meta| ("meta".to_owned(), meta)));
    json!({"mode": "executed", "results": [result]})
}
