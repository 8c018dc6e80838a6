//! Arithmetic.

mod abs;
mod add;
mod divide;
mod modulo;
mod multiply;
mod power;
mod random_float;
mod random_int;
mod round;
mod subtract;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    add::NODE,
    subtract::NODE,
    multiply::NODE,
    divide::NODE,
    modulo::NODE,
    power::NODE,
    abs::NODE,
    round::NODE,
    random_int::NODE,
    random_float::NODE,
];

#[cfg(test)]
mod tests;
