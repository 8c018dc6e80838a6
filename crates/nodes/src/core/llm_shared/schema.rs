//! Response schemas as authors give them.

use crate::prelude::*;

/// The schema itself: objects as they are, `{"type": "json_schema", "json_schema": {"schema": …}}` unwrapped, JSON
/// text parsed. References (`{"$ref": "abstractsemantics:…"}`) are left to the handler.
pub(in crate::core) fn normalised(value: Option<&Value>) -> Option<Value> {
    let schema = match value? {
        Value::Object(schema) => unwrap(schema)?,
        Value::String(text) => match ag_pyvalue::json_loads_lenient(text).ok()? {
            Value::Object(schema) => unwrap(&schema)?,
            _ => return None,
        },
        _ => return None,
    };
    (!schema.is_empty()).then_some(Value::Object(schema))
}

fn unwrap(schema: &Object) -> Option<Object> {
    if schema.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Some(schema.clone());
    }
    let inner = schema.get("json_schema")?;
    inner.get("schema").unwrap_or(inner).as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_off() {
        let schema = json!({"type": "object", "properties": {"a": {}}});
        for value in [
            schema.clone(),
            json!({"type": "json_schema", "json_schema": {"schema": schema}}),
            json!({"type": "json_schema", "json_schema": schema}),
            json!(schema.to_string()),
        ] {
            assert_eq!(normalised(Some(&value)), Some(schema.clone()), "{value}");
        }
        for value in [
            json!({}),
            json!(""),
            json!(3),
            json!([]),
            json!({"type": "json_schema"}),
        ] {
            assert_eq!(normalised(Some(&value)), None, "{value}");
        }
    }
}
