//! The editor's documents: validation and the document's shape.
//!
//! Node types, pins and the graph are not judged here; the compiler does that when a flow is loaded.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::flow::Object;

/// Why a document or its id is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisualFlowError {
    /// A rule of the document; holds what is wrong and where.
    #[error("Invalid VisualFlow JSON: {0}")]
    Invalid(String),
    /// A path parameter that is no file name.
    #[error("flow_id contains unsafe characters")]
    UnsafeId,
}

/// Checks a flow id given in a path: `[A-Za-z0-9._-]+`.
///
/// # Errors
/// [`VisualFlowError::UnsafeId`].
pub fn check_id(flow_id: &str) -> Result<(), VisualFlowError> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if flow_id.is_empty() || !flow_id.chars().all(safe) {
        return Err(VisualFlowError::UnsafeId);
    }
    Ok(())
}

/// Checks a document.
///
/// # Errors
/// [`VisualFlowError::Invalid`] for the first broken rule.
pub fn validate(document: &Object) -> Result<(), VisualFlowError> {
    check(document).map_err(VisualFlowError::Invalid)
}

/// A new document from the members of a create request. `members` may hold `name`, `description`,
/// `interfaces`, `nodes`, `edges`, `entryNode`; absent ones get their defaults.
#[must_use]
pub fn create(flow_id: &str, members: &Object, now: &str) -> Object {
    let mut out = Object::new();
    out.insert("id".into(), json!(flow_id));
    for (key, default) in [
        ("name", json!("")),
        ("description", json!("")),
        ("interfaces", json!([])),
        ("nodes", json!([])),
        ("edges", json!([])),
    ] {
        out.insert(key.into(), given(members, key).unwrap_or(default));
    }
    if let Some(entry) = given(members, "entryNode") {
        out.insert("entryNode".into(), entry);
    }
    out.insert("created_at".into(), json!(now));
    out.insert("updated_at".into(), json!(now));
    out
}

/// Applies an update request: null or absent members change nothing, so `entryNode` cannot be cleared.
pub fn update(document: &mut Object, members: &Object, now: &str) {
    for key in ["name", "description", "interfaces", "nodes", "edges", "entryNode"] {
        if let Some(value) = given(members, key) {
            document.insert(key.into(), value);
        }
    }
    document.insert("updated_at".into(), json!(now));
}

fn given(members: &Object, key: &str) -> Option<Value> {
    members.get(key).filter(|value| !value.is_null()).cloned()
}

type Check = Result<(), String>;

fn check(document: &Object) -> Check {
    required(document, "name", "name")?;
    if !matches!(
        document.get("description"),
        None | Some(Value::Null | Value::String(_))
    ) {
        return Err("description must be a string".into());
    }
    match document.get("interfaces") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {}
        Some(_) => return Err("interfaces must be a list of strings".into()),
    }
    match document.get("entryNode") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if !id.trim().is_empty() => {}
        Some(_) => return Err("entryNode must be a non-empty string or null".into()),
    }
    let nodes = nodes(document.get("nodes"))?;
    edges(document.get("edges"), &nodes)
}

fn list<'a>(value: Option<&'a Value>, key: &str) -> Result<&'a [Value], String> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("{key} must be a list")),
    }
}

fn required<'a>(object: &'a Object, key: &str, path: &str) -> Result<&'a str, String> {
    match object.get(key) {
        None | Some(Value::Null) => Err(format!("{path} is required")),
        Some(Value::String(text)) if text.trim().is_empty() => Err(format!("{path} is required")),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{path} must be a string")),
    }
}

fn nodes(value: Option<&Value>) -> Result<HashSet<&str>, String> {
    let mut ids = HashSet::new();
    for (position, node) in list(value, "nodes")?.iter().enumerate() {
        let path = format!("nodes.{position}");
        let node = node
            .as_object()
            .ok_or_else(|| format!("{path} must be an object"))?;
        let id = required(node, "id", &format!("{path}.id"))?;
        if !ids.insert(id) {
            return Err(format!("duplicate node id '{id}'"));
        }
        required(node, "type", &format!("{path}.type"))?;
        for key in ["position", "data"] {
            if !matches!(node.get(key), None | Some(Value::Null | Value::Object(_))) {
                return Err(format!("{path}.{key} must be an object or null"));
            }
        }
        // Pins stand in `data`; older editors put them on the node.
        let data = node.get("data").and_then(Value::as_object);
        for (holder, at) in [(Some(node), path.clone()), (data, format!("{path}.data"))] {
            for key in ["inputs", "outputs"] {
                let pins = holder.and_then(|holder| holder.get(key));
                if !matches!(pins, None | Some(Value::Null | Value::Array(_))) {
                    return Err(format!("{at}.{key} must be a list or null"));
                }
            }
        }
    }
    Ok(ids)
}

fn edges(value: Option<&Value>, nodes: &HashSet<&str>) -> Check {
    let mut ids = HashSet::new();
    for (position, edge) in list(value, "edges")?.iter().enumerate() {
        let path = format!("edges.{position}");
        let edge = edge
            .as_object()
            .ok_or_else(|| format!("{path} must be an object"))?;
        match edge.get("id") {
            None | Some(Value::Null) => {}
            Some(_) => {
                let id = required(edge, "id", &format!("{path}.id"))?;
                if !ids.insert(id) {
                    return Err(format!("duplicate edge id '{id}'"));
                }
            }
        }
        for key in ["source", "target", "sourceHandle", "targetHandle"] {
            required(edge, key, &format!("{path}.{key}"))?;
        }
        for key in ["source", "target"] {
            if !edge
                .get(key)
                .and_then(Value::as_str)
                .is_some_and(|id| nodes.contains(id))
            {
                return Err(format!("{path}.{key} references unknown node"));
            }
        }
        if !matches!(edge.get("animated"), None | Some(Value::Null | Value::Bool(_))) {
            return Err(format!("{path}.animated must be a boolean or null"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
