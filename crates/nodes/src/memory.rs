//! Span memory, the knowledge graph and active memory.

mod active_memory;
mod copy;
pub(crate) mod envelope;
mod memact_compose;
mod memory_compact;
mod memory_kg_assert;
mod memory_kg_query;
mod memory_kg_resolve;
mod memory_note;
mod memory_query;
mod memory_rehydrate;
mod memory_tag;

use ag_pyvalue::opt_str;
use ag_visualflow::node::NodeType;
use serde_json::Value;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    memory_note::NODE,
    memory_query::NODE,
    memory_tag::NODE,
    memory_compact::NODE,
    memory_rehydrate::NODE,
    memory_kg_query::NODE,
    memory_kg_resolve::NODE,
    memory_kg_assert::NODE,
    memact_compose::NODE,
];

/// Texts of a list, or of a single text.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(opt_str).collect(),
        other => other.and_then(opt_str).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
