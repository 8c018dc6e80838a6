//! Writing bundles: what the editor's publish produces.
//!
//! Packing is deterministic: the same manifest and documents give the same bytes, so a bundle's hash
//! names its content on every node.

mod publish;
#[cfg(test)]
mod tests;
mod write;

pub use publish::{ExistingVersion, PublishError, PublishRequest, Published, publish, publish_bundle_id};
pub use write::{PackError, pack};
