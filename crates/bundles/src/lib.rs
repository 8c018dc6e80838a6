//! Workflow bundles: the `.flow` file format and everything that is decided from it without I/O.
//!
//! * [`archive`] reads a zip that nobody vouches for; [`manifest`] is its table of contents.
//! * [`bundle`] and [`install`] turn uploaded bytes into a [`Package`] and a [`Package`] into a [`Bundle`].
//! * [`index`], [`reference`], [`select`] and [`version`] answer "which flow is meant".
//! * [`namespace`], [`flow_check`] and [`input_schema`] read flow documents as JSON; no node type is
//!   executed or compiled here.
//! * [`listing`] builds the JSON shapes of the bundle operations, [`pack`] writes bundles for the
//!   editor's publish, [`visual_flow`] validates the editor's documents, [`shipped`] holds the bundles
//!   that come with the gateway.
//!
//! Every function takes bytes or parsed JSON and returns values; reading directories, databases and
//! clocks is the caller's business.

pub mod archive;
pub mod bundle;
pub mod flow;
pub mod flow_check;
pub mod index;
pub mod input_schema;
pub mod install;
pub mod listing;
pub mod manifest;
pub mod namespace;
pub mod pack;
mod pytext;
pub mod reference;
pub mod select;
pub mod shipped;
pub mod status;
pub mod version;
pub mod visual_flow;

#[cfg(test)]
mod test_archive;

pub use archive::{Archive, ArchiveError, Limits};
pub use bundle::{Bundle, LoadError, Package, PackageError};
pub use flow::Object;
pub use index::{BundleIndex, IndexedVersion};
pub use install::{InstallError, inspect_upload, install_name};
pub use manifest::{Entrypoint, Manifest, ManifestError};
pub use select::{ResolvedFlow, SelectError, StartRequest, Target};
pub use shipped::shipped_bundles;
pub use status::ErrorStatus;
