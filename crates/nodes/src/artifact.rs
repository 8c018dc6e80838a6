//! Artifact references in values.

use ag_pyvalue::opt_str;
use serde_json::Value;

/// The id of an artifact: text, `{"$artifact": id}` or `{"artifact_id": id}`.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(_) => opt_str(value),
        Value::Object(fields) => ["$artifact", "artifact_id"]
            .iter()
            .find_map(|key| fields.get(*key).and_then(opt_str)),
        _ => None,
    }
}
