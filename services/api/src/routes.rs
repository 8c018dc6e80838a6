//! The families. Adding one: its module, its line in [`FAMILIES`].

mod artifacts;
mod blocking;
mod blocs;
mod bundles;
mod config;
mod core;
mod discovery;
mod docs;
mod files;
mod form;
mod media;
mod memory;
mod models;
mod prompt_cache;
mod residency;
mod runs;
mod secrets;
mod split;
#[cfg(test)]
mod testing;
mod visualflows;

pub use bundles::{FlowsDirError, FlowsDirReport, ShippedBundles, install_flows_dir};
pub use config::{Resealed, StoredProfiles, reseal_secrets};
pub use discovery::{ToolServices, predicates_registry};
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
    media::MEDIA,
    files::FILES,
    files::WORKSPACE,
    discovery::DISCOVERY,
    discovery::SEMANTICS,
    discovery::CATALOGS,
    discovery::EMBEDDINGS,
    residency::MODELS,
    prompt_cache::PROMPT_CACHE,
    prompt_cache::SESSION_PROMPT_CACHE,
    blocs::BLOCS,
    memory::EMBEDDING_MODEL,
    memory::KNOWLEDGE,
    config::CONFIG,
    config::SANDBOX,
    docs::DOCS,
];
