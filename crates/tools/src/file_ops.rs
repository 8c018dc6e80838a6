//! Reading and listing files, shared by the tools, the file nodes of flows and the HTTP file operations.
//!
//! All functions block; async callers put them on a blocking thread. Paths come resolved from [`crate::workspace`],
//! except where a function takes [`crate::workspace::Roots`] and a client's own path.

pub mod family;
pub mod http;
pub mod index;
pub mod list;
pub mod nodes;
pub mod read;
pub mod skim;
