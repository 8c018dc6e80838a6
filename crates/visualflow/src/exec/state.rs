//! The reserved places in `vars` that executing a flow writes (spec §2).

use ag_types::Object;
use serde_json::Value;

/// Writes a key without allocating it again when it exists.
pub(super) fn put(map: &mut Object, key: &str, value: Value) {
    match map.get_mut(key) {
        Some(slot) => *slot = value,
        None => {
            map.insert(key.to_owned(), value);
        }
    }
}

/// The object at a key, made if it is missing or something else.
pub(super) fn section<'v>(map: &'v mut Object, key: &str) -> &'v mut Object {
    if !map.get(key).is_some_and(Value::is_object) {
        put(map, key, Value::Object(Object::new()));
    }
    match map.get_mut(key) {
        Some(Value::Object(section)) => section,
        _ => unreachable!("made an object above"),
    }
}

pub(super) fn temp(vars: &Object) -> Option<&Object> {
    vars.get("_temp")?.as_object()
}

pub(super) fn temp_mut(vars: &mut Object) -> &mut Object {
    section(vars, "_temp")
}

/// `_temp.node_outputs.<node>`. Node ids are keys here, dots in them mean nothing.
pub(super) fn node_output<'v>(vars: &'v Object, node: &str) -> Option<&'v Value> {
    temp(vars)?.get("node_outputs")?.get(node)
}

pub(super) fn set_node_output(vars: &mut Object, node: &str, value: Value) {
    put(section(temp_mut(vars), "node_outputs"), node, value);
}

/// Dotted path of the raw result of an effect node. The kernel writes there, so dots in a node id nest.
pub(super) fn effect_path(node: &str) -> String {
    format!("_temp.effects.{node}")
}

/// The raw result of an effect node.
pub(super) fn effect_result<'v>(vars: &'v Object, node: &str) -> Option<&'v Value> {
    let effects = temp(vars)?.get("effects")?.as_object()?;
    match effects.get(node) {
        Some(raw) => Some(raw),
        None if node.contains('.') => ag_kernel::vars::get_path(effects, node),
        None => None,
    }
}

/// Writes a variable named by a node's configuration (`outputKey`). A path deeper than any stored value may be
/// names nothing and is ignored.
pub(super) fn set_variable(vars: &mut Object, path: &str, value: Value) {
    if path.split('.').nth(super::MAX_VALUE_DEPTH).is_none() {
        ag_kernel::vars::set_path(vars, path, value);
    }
}

pub(super) fn last_output(vars: &Object) -> Option<&Value> {
    vars.get("_last_output")
}

pub(super) fn set_last_output(vars: &mut Object, value: Value) {
    put(vars, "_last_output", value);
}

pub(super) fn set_prev_exec_handle(vars: &mut Object, handle: &str) {
    let temp = temp_mut(vars);
    // Loops follow the same handle again and again.
    if temp.get("prev_exec_handle").and_then(Value::as_str) != Some(handle) {
        put(temp, "prev_exec_handle", handle.into());
    }
}

pub(super) fn set_flow_error(vars: &mut Object, node: &str, message: &str) {
    put(vars, "_flow_error", message.into());
    put(vars, "_flow_error_node", node.into());
}

/// Appends to `_flow_warnings`; a warning is listed once.
pub(super) fn warn(vars: &mut Object, warning: String) {
    if !vars.get("_flow_warnings").is_some_and(Value::is_array) {
        put(vars, "_flow_warnings", Value::Array(Vec::new()));
    }
    if let Some(Value::Array(warnings)) = vars.get_mut("_flow_warnings") {
        let warning = Value::String(warning);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}
