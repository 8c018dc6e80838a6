//! Moving data in: from the Python gateway 0.2.27, and from an embedded gateway to a cluster.
//!
//! * [`reference`](mod@reference) reads a data folder that the Python gateway wrote, with either of its stores, and
//!   makes runs, ledgers, commands, artifacts and documents of it. [`Plan::read`](reference::Plan::read) looks,
//!   [`apply`](reference::apply) writes.
//! * [`embedded`] copies the tables of an SQLite store of ours to Postgres.
//! * [`json`] turns the JSON that Python writes into JSON.
//!
//! Both can be killed at any point and repeated; what is there already is left as it is.

pub mod embedded;
pub mod error;
pub mod json;
mod lock;
pub mod progress;
pub mod reference;

pub use error::ImportError;
pub use progress::{Progress, Silent};
