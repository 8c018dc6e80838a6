//! Branches, loops, comparisons and logic.

mod and;
mod compare;
mod r#for;
mod r#if;
mod r#loop;
mod not;
mod or;
mod parallel;
mod sequence;
mod switch;
mod r#while;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    r#loop::NODE,
    r#for::NODE,
    r#while::NODE,
    r#if::NODE,
    switch::NODE,
    sequence::NODE,
    parallel::NODE,
    compare::NODE,
    and::NODE,
    or::NODE,
    not::NODE,
];

#[cfg(test)]
mod tests;
