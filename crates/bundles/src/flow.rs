//! Reading flow documents as JSON.
//!
//! Bundles carry documents of many editor versions; these helpers know the few places and aliases that
//! matter outside the compiler and never fail: what has the wrong shape is skipped, as the compiler
//! reports it better.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A JSON object with its key order.
pub type Object = Map<String, Value>;

/// Members of a `subflow` node's data that may name the target, in order of precedence.
pub const SUBFLOW_KEYS: [&str; 4] = ["subflowId", "flowId", "workflowId", "workflow_id"];

/// The target handle that makes an edge an execution edge.
pub const EXEC_IN: &str = "exec-in";

/// Objects of the document's `nodes` list, in order.
pub fn nodes(flow: &Object) -> impl Iterator<Item = &Object> {
    objects(flow.get("nodes"))
}

/// Objects of the document's `edges` list, in order.
pub fn edges(flow: &Object) -> impl Iterator<Item = &Object> {
    objects(flow.get("edges"))
}

/// Objects of a list value; nothing for any other value.
pub fn objects(list: Option<&Value>) -> impl Iterator<Item = &Object> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
}

/// A string member with content.
#[must_use]
pub fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .filter(|value| !value.trim().is_empty())
}

/// The node's id.
#[must_use]
pub fn node_id(node: &Object) -> Option<&str> {
    text(node, "id")
}

/// The node's type: a string, `{"value": …}`, or the enum spelling `NodeType.X`.
#[must_use]
pub fn node_type(node: &Object) -> Option<Cow<'_, str>> {
    let name = match node.get("type")? {
        Value::Object(wrapped) => wrapped.get("value")?.as_str()?,
        value => value.as_str()?,
    };
    Some(match name.strip_prefix("NodeType.") {
        Some(variant) => Cow::Owned(variant.to_lowercase()),
        None => Cow::Borrowed(name),
    })
}

/// True when the node has this type.
#[must_use]
pub fn is_type(node: &Object, name: &str) -> bool {
    node_type(node).is_some_and(|found| found == name)
}

/// The node's `data` object.
#[must_use]
pub fn data(node: &Object) -> Option<&Object> {
    node.get("data").and_then(Value::as_object)
}

/// The flow a `subflow` node starts, as written.
#[must_use]
pub fn subflow_target(node: &Object) -> Option<&str> {
    if !is_type(node, "subflow") {
        return None;
    }
    let data = data(node)?;
    SUBFLOW_KEYS
        .into_iter()
        .find_map(|key| text(data, key))
        .map(str::trim)
}
