//! The families. Adding one: its module, its line in [`FAMILIES`].

mod artifacts;
mod blocking;
mod bundles;
mod config;
mod core;
mod discovery;
mod docs;
mod files;
mod form;
mod models;
mod runs;
mod secrets;
#[cfg(test)]
mod testing;
mod visualflows;

pub use bundles::{FlowsDirError, FlowsDirReport, ShippedBundles, install_flows_dir};
pub use config::StoredProfiles;
pub use models::ModelServices;
pub use secrets::{SecretBox, SecretBoxError};
pub use visualflows::CodeService;

use crate::Family;

/// Every operation of this server.
pub const FAMILIES: &[Family] = &[
    core::CORE,
    runs::RUNS,
    runs::LEDGERS,
    runs::COMMANDS,
    bundles::BUNDLES,
    visualflows::VISUALFLOWS,
    artifacts::ARTIFACTS,
    artifacts::ATTACHMENTS,
    files::FILES,
    files::WORKSPACE,
    discovery::DISCOVERY,
    discovery::SEMANTICS,
    discovery::CATALOGS,
    discovery::EMBEDDINGS,
    config::CONFIG,
    config::SANDBOX,
    docs::DOCS,
];
