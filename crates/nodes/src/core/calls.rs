//! Tool calls as authors and models write them.

use crate::prelude::*;

/// The call objects of a value: a list, one object, or JSON text of either. Other entries are dropped.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items.iter().filter(|item| item.is_object()).cloned().collect(),
        Some(call @ Value::Object(_)) => vec![call.clone()],
        Some(Value::String(text)) => match ag_pyvalue::json_loads_lenient(text) {
            Ok(parsed @ (Value::Array(_) | Value::Object(_))) => list(Some(&parsed)),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The effect that runs the calls. A pin for allowed tools counts even when it is empty: nothing is allowed then.
pub(super) fn planned(calls: Vec<Value>, inputs: &Inputs<'_>) -> Planned {
    let mut payload = payload(EffectKind::ToolCalls);
    payload.insert("tool_calls".to_owned(), calls.into());
    let configured = || {
        inputs
            .config
            .effect_config("allowed_tools")
            .filter(|tools| tools.is_array())
    };
    if let Some(allowed) = inputs.get("allowed_tools").or_else(configured) {
        payload.insert("allowed_tools".to_owned(), names(allowed).into());
    }
    effect(EffectKind::ToolCalls, payload)
}

/// Tool names of a list of names or of tool specifications, each once.
pub(super) fn names(value: &Value) -> Vec<String> {
    let parsed = match value {
        Value::String(text) => ag_pyvalue::json_loads_lenient(text).ok().filter(Value::is_array),
        _ => None,
    };
    let value = parsed.as_ref().unwrap_or(value);
    let entries = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    let mut names: Vec<String> = Vec::new();
    for name in entries
        .iter()
        .filter_map(|entry| opt_str(entry.get("name").unwrap_or(entry)))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_in_several_shapes() {
        let call = json!({"name": "read_file", "arguments": {}});
        for value in [
            json!([call, "junk", 3]),
            call.clone(),
            json!(format!("[{call}]")),
            json!(call.to_string()),
        ] {
            assert_eq!(list(Some(&value)), vec![call.clone()], "{value}");
        }
        for value in [json!(null), json!("nope"), json!(4), json!([])] {
            assert!(list(Some(&value)).is_empty(), "{value}");
        }
    }

    #[test]
    fn names_are_texts_or_specifications() {
        let value = json!([" a ", {"name": "b"}, "a", 3, ""]);
        assert_eq!(names(&value), ["a", "b"]);
        assert_eq!(names(&json!("a")), ["a"]);
        assert_eq!(names(&json!("[\"a\", \"b\"]")), ["a", "b"]);
        assert!(names(&json!(null)).is_empty());
    }
}
