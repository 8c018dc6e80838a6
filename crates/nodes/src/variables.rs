//! Variables of a run.

mod bool_var;
mod get_context;
mod get_var;
mod names;
mod set_var;
mod set_var_property;
mod set_vars;
mod var_decl;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    var_decl::NODE,
    bool_var::NODE,
    get_var::NODE,
    get_context::NODE,
    set_var::NODE,
    set_var_property::NODE,
    set_vars::NODE,
];

#[cfg(test)]
mod tests;
