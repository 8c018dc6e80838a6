//! Tool descriptions of the payload as models get them.

use ag_providers::ToolSpec;
use ag_types::Object;
use serde_json::{Value, json};

/// Gateway descriptions (`parameters` is a map of arguments), plain JSON Schemas, or the wire's `{type, function}`.
/// Entries without a name and repeated names are left out.
pub(super) fn specs(entries: &[Value]) -> Vec<ToolSpec> {
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = entry.get("function").unwrap_or(entry);
        let Some(name) = entry.get("name").and_then(ag_pyvalue::opt_str) else {
            continue;
        };
        if specs.iter().all(|known| known.name != name) {
            specs.push(ToolSpec {
                name,
                description: description(entry),
                parameters: parameters(entry),
            });
        }
    }
    specs
}

fn description(entry: &Value) -> String {
    let text = |key: &str| entry.get(key).and_then(ag_pyvalue::opt_str);
    match (text("description"), text("when_to_use")) {
        (Some(what), Some(when)) => format!("{what}\nWhen to use: {when}"),
        (what, when) => what.or(when).unwrap_or_default(),
    }
}

fn parameters(entry: &Value) -> Value {
    let Some(map) = entry.get("parameters").and_then(Value::as_object) else {
        return json!({"type": "object", "properties": {}, "required": []});
    };
    let is_schema = map.get("type").and_then(Value::as_str) == Some("object")
        || map.get("properties").is_some_and(Value::is_object);
    if is_schema {
        let mut schema = map.clone();
        schema.entry("type").or_insert_with(|| "object".into());
        schema.entry("properties").or_insert_with(|| json!({}));
        return Value::Object(schema);
    }
    let mut properties = Object::new();
    let mut required = Vec::new();
    for (name, argument) in map {
        let mut schema = argument.as_object().cloned().unwrap_or_default();
        if schema.shift_remove("default").is_none() {
            required.push(name.as_str());
        }
        properties.insert(name.clone(), Value::Object(schema));
    }
    let named = entry.get("required_args").and_then(Value::as_array);
    let required = named.map_or_else(|| json!(required), |named| json!(named));
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shapes_of_descriptions() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let specs = specs(&[
            json!({"name": "g", "description": "d", "when_to_use": "w",
                "parameters": {"a": {"type": "string"}, "b": {"type": "integer", "default": null}}}),
            json!({"name": "s", "parameters": schema}),
            json!({"type": "function", "function": {"name": "f", "description": "x"}}),
            json!({"name": "g"}),
            json!({"description": "no name"}),
        ]);
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["g", "s", "f"]);
        assert_eq!(specs[0].description, "d\nWhen to use: w");
        let expected = json!({"type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]});
        assert_eq!(specs[0].parameters, expected);
        assert_eq!(specs[1].parameters, schema);
        assert_eq!(specs[2].parameters["properties"], json!({}));
    }
}
