//! Fixed values, catalogues and schemas.

mod catalog;
mod edit_json_schema;
mod json_schema;
mod literal_array;
mod literal_boolean;
mod literal_json;
mod literal_number;
mod literal_string;
mod model_catalog;
mod provider_catalog;
mod provider_models;
mod tool_parameters;
mod tools_allowlist;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    literal_string::NODE,
    literal_number::NODE,
    literal_boolean::NODE,
    literal_json::NODE,
    literal_array::NODE,
    json_schema::NODE,
    provider_catalog::NODE,
    provider_models::NODE,
    model_catalog::NODE,
    tools_allowlist::NODE,
    tool_parameters::NODE,
    edit_json_schema::NODE,
];

#[cfg(test)]
mod tests;
