//! Data folders of the Python gateway 0.2.27.
//!
//! A folder holds one *plane* at its root and one per user below `users/<tenant>/<runtime>/runtime`. Each plane has
//! runs, ledgers and commands in files or in one database, and artifacts, editor documents, schedules' flows,
//! deprecations and workspaces beside them in both cases.
//!
//! [`Plan::read`] reads everything once and says what an import would do. [`apply`] stores it: rows first, then heads,
//! then what had not been applied when the source stopped (see `ag_store::imports`).

mod apply;
mod artifacts;
mod beside;
mod commands;
mod convert;
mod digest;
mod documents;
mod flows;
mod graph;
mod lance;
mod paths;
mod plan;
mod profiles;
mod report;
mod rows;
mod source;
mod wakes;

pub use apply::{Target, apply};
pub use plan::{Plan, PlanOptions};
pub use report::Report;
pub use source::{StoreKind, check_apart, is_database};
