//! From whatever a caller calls a schema to an object schema without references.

use serde_json::{Value, json};

use super::inline::inline_refs;
use crate::Object;
use crate::chat::ResponseSchema;

/// Something that cannot be made into a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A text that is not JSON.
    #[error("response schema is not valid JSON")]
    NotJson,
    /// A number, a boolean, null or a list.
    #[error("response schema must be a JSON object")]
    NotAnObject,
}

const DEFAULT_NAME: &str = "StructuredOutput";
const TYPES: [&str; 7] = [
    "object", "array", "string", "number", "integer", "boolean", "null",
];
const SCHEMA_KEYS: [&str; 8] = [
    "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "$defs", "$schema",
];
/// Examples deeper than this describe themselves loosely.
const MAX_EXAMPLE_DEPTH: usize = 32;

/// Unwraps `{"json_schema": ..}`, `{"schema": ..}` and `{"name", "schema"}`, turns an example object into a schema,
/// inlines local references and wraps a root that is not an object in `{"value": ..}`.
///
/// `name` wins over a name inside; the default is `StructuredOutput`.
///
/// # Errors
/// [`SchemaError`].
pub fn normalise(raw: &Value, name: Option<&str>) -> Result<ResponseSchema, SchemaError> {
    let parsed;
    let mut value = match raw {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).map_err(|_| SchemaError::NotJson)?;
            &parsed
        }
        other => other,
    };
    let mut inner_name = None;
    // Two wrappers occur together: {"type": "json_schema", "json_schema": {"name", "schema"}}.
    for _ in 0..4 {
        let Some(map) = value.as_object() else {
            return Err(SchemaError::NotAnObject);
        };
        if !is_schema(map) || map.get("type").and_then(Value::as_str) == Some("json_schema") {
            if let Some(name) = map.get("name").and_then(Value::as_str) {
                inner_name = Some(name.to_owned());
            }
            let wrapped = ["json_schema", "schema", "response_schema"]
                .iter()
                .find_map(|key| map.get(*key));
            if let Some(inner @ Value::Object(_)) = wrapped {
                value = inner;
                continue;
            }
        }
        break;
    }
    let map = value.as_object().ok_or(SchemaError::NotAnObject)?;
    if inner_name.is_none() {
        inner_name = map.get("title").and_then(Value::as_str).map(str::to_owned);
    }
    let schema = if is_schema(map) {
        inline_refs(value)
    } else if is_property_map(map) {
        json!({ "type": "object", "properties": inline_refs(value), "required": map.keys().collect::<Vec<_>>() })
    } else {
        from_example(value, 0)
    };
    let name = name
        .filter(|name| !name.trim().is_empty())
        .map(str::to_owned)
        .or(inner_name);
    Ok(ResponseSchema {
        name: wire_name(name.as_deref().unwrap_or(DEFAULT_NAME)),
        schema: object_root(schema),
    })
}

fn is_schema(map: &Object) -> bool {
    let typed = match map.get("type") {
        Some(Value::String(text)) => TYPES.contains(&text.as_str()),
        Some(Value::Array(list)) => {
            !list.is_empty()
                && list
                    .iter()
                    .all(|item| item.as_str().is_some_and(|text| TYPES.contains(&text)))
        }
        _ => false,
    };
    typed
        || map.get("properties").is_some_and(Value::is_object)
        || SCHEMA_KEYS.iter().any(|key| map.contains_key(*key))
}

/// `{"name": {"type": "string"}, ...}`: the properties without the object around them.
fn is_property_map(map: &Object) -> bool {
    !map.is_empty() && map.values().all(|value| value.as_object().is_some_and(is_schema))
}

fn from_example(value: &Value, depth: usize) -> Value {
    if depth > MAX_EXAMPLE_DEPTH {
        return json!({});
    }
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_f64() => json!({ "type": "number" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => {
            let items = items
                .first()
                .map_or_else(|| json!({}), |first| from_example(first, depth + 1));
            json!({ "type": "array", "items": items })
        }
        Value::Object(map) => {
            let properties: Object = map
                .iter()
                .map(|(key, value)| (key.clone(), from_example(value, depth + 1)))
                .collect();
            json!({ "type": "object", "properties": properties, "required": map.keys().collect::<Vec<_>>() })
        }
    }
}

fn object_root(schema: Value) -> Object {
    let is_object = match &schema {
        Value::Object(map) => {
            map.get("type").and_then(Value::as_str) == Some("object") || map.contains_key("properties")
        }
        _ => false,
    };
    match schema {
        Value::Object(mut map) if is_object => {
            map.entry("type").or_insert_with(|| Value::from("object"));
            map
        }
        other => {
            let mut map = Object::new();
            map.insert("type".to_owned(), Value::from("object"));
            map.insert("properties".to_owned(), json!({ "value": other }));
            map.insert("required".to_owned(), json!(["value"]));
            map
        }
    }
}

/// Names on the wire are `[A-Za-z0-9_-]{1,64}`.
fn wire_name(name: &str) -> String {
    let clean: String = name
        .trim()
        .chars()
        .take(64)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
                c
            } else {
                '_'
            }
        })
        .collect();
    if clean.is_empty() {
        DEFAULT_NAME.to_owned()
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_in_every_wrapping() {
        let object = json!({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]});
        let cases = [
            (object.clone(), object.clone(), "StructuredOutput"),
            (json!({"schema": object}), object.clone(), "StructuredOutput"),
            (
                json!({"name":"My Ans","schema": object}),
                object.clone(),
                "My_Ans",
            ),
            (
                json!({"type":"json_schema","json_schema":{"name":"Ans","schema":object}}),
                object.clone(),
                "Ans",
            ),
            (
                Value::String(object.to_string()),
                object.clone(),
                "StructuredOutput",
            ),
            (
                json!({"a":{"type":"integer"}}),
                object.clone(),
                "StructuredOutput",
            ),
            (json!({"a":1}), object, "StructuredOutput"),
            (
                json!({"type":"array","items":{"type":"string"}}),
                json!({"type":"object","properties":{"value":{"type":"array","items":{"type":"string"}}},"required":["value"]}),
                "StructuredOutput",
            ),
            (
                json!({"x":[1.5],"y":{"z":true},"n":null}),
                json!({"type":"object","properties":{
                    "x":{"type":"array","items":{"type":"number"}},
                    "y":{"type":"object","properties":{"z":{"type":"boolean"}},"required":["z"]},
                    "n":{}},"required":["x","y","n"]}),
                "StructuredOutput",
            ),
        ];
        for (raw, schema, name) in cases {
            let found = normalise(&raw, None).expect("schema");
            assert_eq!(Value::Object(found.schema), schema, "{raw}");
            assert_eq!(found.name, name, "{raw}");
        }
        assert_eq!(
            normalise(&json!({"a":1}), Some("Mine")).expect("schema").name,
            "Mine"
        );
        assert_eq!(normalise(&json!([1]), None), Err(SchemaError::NotAnObject));
        assert_eq!(normalise(&json!("{"), None), Err(SchemaError::NotJson));
    }

    #[test]
    fn a_property_called_schema_is_no_wrapper() {
        let schema = json!({"type":"object","properties":{"schema":{"type":"string"}}});
        assert_eq!(
            Value::Object(normalise(&schema, None).expect("schema").schema),
            schema
        );
    }
}
