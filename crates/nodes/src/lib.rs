//! The node types of flows: one file each, in a folder per family of the editor's menu.
//!
//! A node type is data and a small function ([`ag_visualflow::node`]). Nothing in here performs I/O: effect nodes
//! build payloads and map results, file, code and catalogue nodes ask the host of the step.
//!
//! * [`Registry`] finds a type by its wire name; the families list their types, [`Registry::types`] lists them all.
//! * [`catalogue`] and [`doc_table`] are derived from the same list, for editors and for the documentation.
//!
//! A new node type is one file and one line in its family's list.

mod artifact;
mod catalogue;
mod control;
mod core;
mod data;
mod effect;
mod events;
mod files;
mod host;
mod input;
mod internal;
mod jsonish;
mod literals;
mod math;
mod media;
mod memory;
mod paths;
mod prelude;
mod registry;
mod render;
mod spec;
#[cfg(test)]
mod testing;
mod text;
mod variables;

pub use catalogue::{catalogue, doc_table};
pub use registry::Registry;
