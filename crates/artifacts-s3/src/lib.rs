//! Blobs in an object store that speaks the protocol of S3.
//!
//! ```text
//! <prefix>/<tenant>/<runtime>/artifacts/blobs/<2 hex>/<64 hex>
//! <prefix>/<tenant>/<runtime>/artifacts/retired/<2 hex>/<64 hex>/<20 digits>
//! ```
//!
//! An object appears as a whole or not at all, so a blob is never half there. What is larger than [`PART_BYTES`]
//! goes up in parts; parts of uploads that broke stay in the bucket until its lifecycle rule for incomplete uploads
//! removes them, which every bucket should have.
//!
//! Only what S3-compatible servers have in common is used: no conditional requests, no bulk deletion, no tags, no
//! versions.

mod error;
mod settings;
mod spool;
mod store;

pub use settings::{S3Credentials, S3Error, S3Settings};
pub use spool::PART_BYTES;
pub use store::S3Blobs;
