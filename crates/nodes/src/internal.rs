//! Nodes that the compiler inserts.

mod join_exec;
mod path_mux;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[join_exec::NODE, path_mux::NODE];
