//! Which files a run, a tool or an operator's file request may touch.
//!
//! A path goes through three gates: it must resolve below a permitted root with every symbolic link followed, it must
//! not lie under a blocked path, and the file tools leave alone what the ignore rules name. Every path is resolved
//! twice: before a call is recorded, so that a person approves what will really be touched, and again right before
//! use, so that a link made in between gains nothing.

mod error;
mod ignore;
mod policy;
mod real;
mod rewrite;
mod roots;

pub use error::PathError;
pub use ignore::IgnoreRules;
pub use policy::{AccessMode, WorkspacePolicy, path_list};
pub use rewrite::rewrite_arguments;
pub use roots::{Mount, Roots};
