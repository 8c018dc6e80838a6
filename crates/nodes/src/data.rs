//! Lists, objects and JSON.

mod agent_trace_report;
mod array_append;
mod array_concat;
mod array_dedup;
mod array_filter;
mod array_length;
mod array_map;
mod break_object;
mod coalesce;
mod format_tool_results;
mod get;
mod get_element;
mod get_random_element;
mod has_tools;
mod make_array;
mod make_context;
mod make_meta;
mod make_object;
mod make_scratchpad;
mod merge;
mod parse_json;
mod set;
mod stringify_json;

use std::borrow::Cow;

use ag_visualflow::node::NodeType;
use serde_json::Value;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    coalesce::NODE,
    get::NODE,
    set::NODE,
    merge::NODE,
    get_element::NODE,
    get_random_element::NODE,
    make_array::NODE,
    array_concat::NODE,
    array_append::NODE,
    array_dedup::NODE,
    array_map::NODE,
    array_filter::NODE,
    array_length::NODE,
    has_tools::NODE,
    make_object::NODE,
    make_context::NODE,
    make_meta::NODE,
    make_scratchpad::NODE,
    parse_json::NODE,
    stringify_json::NODE,
    break_object::NODE,
    format_tool_results::NODE,
    agent_trace_report::NODE,
];

/// Items of a value: those of a list, the characters of a text, none of null, else the value itself.
fn items(value: Option<&Value>) -> Cow<'_, [Value]> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(&[]),
        Some(Value::Array(items)) => Cow::Borrowed(items),
        Some(Value::String(text)) => Cow::Owned(text.chars().map(|c| Value::from(c.to_string())).collect()),
        Some(other) => Cow::Borrowed(std::slice::from_ref(other)),
    }
}

/// A value as a list: null is an empty one, anything else but a list is a list of one.
fn list(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::Array(Vec::new()),
        Some(list @ Value::Array(_)) => list.clone(),
        Some(other) => Value::Array(vec![other.clone()]),
    }
}

#[cfg(test)]
mod tests;
