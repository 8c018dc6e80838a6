//! Flow documents and their execution semantics.
//!
//! * [`document`] reads the saved JSON, tolerating what old editors left in it.
//! * [`node`] says what a node type is; the types themselves live in the crate `nodes`.
//! * [`compile`] lowers a document to a [`Program`]: nodes by index, edges resolved, joins and muxes inserted.
//! * `exec` plans the steps of a run: input resolution, functions, branches, control nodes, effects.
//!
//! A [`Program`] is immutable and shared between runs; everything a run knows lives in its `vars`.

pub mod compile;
pub mod document;
mod exec;
pub mod node;
mod program;

pub use compile::{CompileError, compile};
pub use document::{DocumentError, Edge, FlowDocument, FlowNode, NodeConfig, Pin};
pub use node::{Behaviour, NodeCatalogue, NodeSpec, NodeType};
pub use program::{AgentRef, Program, SubflowRef};
