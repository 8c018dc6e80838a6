//! Collection of blobs that nothing refers to.
//!
//! Bytes are stored before the row that names them is committed, and rows go without asking what else names the same
//! bytes. So nobody deletes a blob when a row goes; a collection compares both sides now and then.
//!
//! **What counts as a reference.** A row of an artifact, a run's bundle, and any text of 64 hexadecimal digits inside
//! a document (installed bundles name their archive there). The last one is generous on purpose: a kind of document
//! that names blobs in a new place needs no change here.
//!
//! **Two steps.** A blob that was put longer than the grace ago and that nothing names is *retired*: out of the
//! listing, still readable. A copy that has been retired for another grace and that nothing names is *discarded*; one
//! that something names is *restored*. The grace is longer than anything takes from storing bytes to committing
//! their row, so who put the same bytes while they were being retired has committed by the time of the second look.
//! References are always read after the listing they are compared with.
//!
//! **Several nodes** may collect at the same time: each step is idempotent, and a retired copy carries its time, so
//! that nobody discards a copy that is newer than the one that was judged. [`Collector::run`] keeps them from doing
//! the same work over and over.
//!
//! A crash at any point leaves what the next collection finds again.

mod collect;
mod periodic;
mod references;

pub use collect::{Collected, Mode, Options, collect};
pub use periodic::Collector;
