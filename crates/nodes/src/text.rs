//! Text.

mod concat;
mod contains;
mod format;
mod is_empty_string;
mod join;
mod length;
mod lowercase;
mod replace;
mod split;
mod string_template;
mod substring;
mod trim;
mod uppercase;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    concat::NODE,
    split::NODE,
    join::NODE,
    format::NODE,
    string_template::NODE,
    uppercase::NODE,
    lowercase::NODE,
    trim::NODE,
    is_empty_string::NODE,
    contains::NODE,
    replace::NODE,
    substring::NODE,
    length::NODE,
];

#[cfg(test)]
mod tests;
