//! Compiling and executing whole flows, with a handful of node types and a driver in place of the kernel.

mod catalogue;
mod compiling;
mod control;
mod data;
mod driver;
mod effects;
mod flow;
mod fuzz;
mod joins;
mod scenarios;
