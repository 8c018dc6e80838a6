//! Tools that models and flows may call, and everything decided around a call.
//!
//! - [`catalogue`]: what tools there are, as data for clients and models;
//! - [`workspace`]: which paths a run may touch, and the ignore rules of `.abstractignore`;
//! - [`normalise`]: forgiving arguments, honest results;
//! - [`mode`]: who decides that a call may run;
//! - [`batch`]: the pure steps around a batch of calls: split, wait, merge;
//! - [`Toolbox`]: runs one call, of our own tools or of a [`ToolSource`];
//! - [`file_ops`]: the same file reading for flow nodes and HTTP routes.

mod args;
pub mod batch;
mod builtins;
mod call;
pub mod catalogue;
mod context;
pub mod file_ops;
mod html;
pub mod mode;
pub mod normalise;
mod outline;
mod python;
mod source;
mod spec;
mod text;
mod toolbox;
mod tools;
pub mod workspace;

pub use call::{Object, ToolCall, ToolMedia, ToolResult};
pub use context::{ExecPolicy, Stop, ToolContext};
pub use source::{SourceAnswer, SourcedTool, ToolSource};
pub use spec::{Arg, ArgType, Example, ToolSpec};
pub use toolbox::Toolbox;
pub use tools::web_search::{DuckDuckGo, SearchEngine, SearchError, SearchHit, SearchQuery};
