//! Memory effects: notes, archived conversations and the knowledge graph (effects spec §5 and §6, architecture D2a).
//!
//! Memory belongs to an owner: a run, a session (`session_memory_…`) or the gateway (`global_memory`). Effects add rows
//! to the commit of the run that executes them, whoever the owner is; reading effects read what is committed. Effects
//! that change the variables of *another* run mail it the work and stay open until its reply: see [`foreign`].
//!
//! * [`MemoryNote`], [`MemoryQuery`], [`MemoryTag`], [`MemoryCompact`], [`MemoryRehydrate`] — spans;
//! * [`KgAssert`], [`KgQuery`], [`KgResolve`] — statements; [`kg`] holds what the HTTP interface shares;
//! * [`Embeddings`] — the plane's embedding model.

mod compact;
mod context;
mod embeddings;
mod envelope;
pub mod foreign;
pub mod kg;
mod levels;
mod note;
mod owners;
mod query;
mod rehydrate;
mod sections;
mod spans;
mod summary;
mod tag;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ag_types::EffectKind;

use crate::{handler::EffectRegistry, routes::ModelResolver};
use sections::WithSections;

pub use compact::MemoryCompact;
pub use embeddings::{EmbeddingError, EmbeddingModel, Embeddings, ROUTE as EMBEDDING_ROUTE};
pub use kg::{KgAssert, KgQuery, KgResolve};
pub use note::MemoryNote;
pub use owners::{MemoryOwners, session_owner};
pub use query::MemoryQuery;
pub use rehydrate::MemoryRehydrate;
pub use spans::{evidence_row, recorded_row, view};
pub use tag::MemoryTag;

/// What the memory effects of a gateway share.
#[derive(Clone)]
pub struct MemoryParts {
    /// Owners of memory.
    pub owners: MemoryOwners,
    /// Predicates that statements may use.
    pub vocabulary: kg::Vocabulary,
    /// Models that summarise and embed.
    pub resolver: ModelResolver,
}

/// Adds the memory effects to a registry.
pub fn register(registry: EffectRegistry, parts: MemoryParts) -> EffectRegistry {
    let MemoryParts {
        owners,
        vocabulary,
        resolver,
    } = parts;
    let embeddings = Embeddings::new(resolver.clone());
    registry
        .with(
            EffectKind::MemoryNote,
            Arc::new(WithSections(MemoryNote::new(owners.clone()))),
        )
        .with(
            EffectKind::MemoryQuery,
            Arc::new(WithSections(MemoryQuery::new(owners.clone()))),
        )
        .with(
            EffectKind::MemoryTag,
            Arc::new(WithSections(MemoryTag::new(owners.clone()))),
        )
        .with(
            EffectKind::MemoryCompact,
            Arc::new(WithSections(MemoryCompact::new(resolver))),
        )
        .with(
            EffectKind::MemoryRehydrate,
            Arc::new(WithSections(MemoryRehydrate)),
        )
        .with(
            EffectKind::MemoryKgAssert,
            Arc::new(KgAssert::new(owners.clone(), vocabulary, embeddings.clone())),
        )
        .with(
            EffectKind::MemoryKgQuery,
            Arc::new(KgQuery::new(owners.clone(), embeddings.clone())),
        )
        .with(
            EffectKind::MemoryKgResolve,
            Arc::new(KgResolve::new(owners, embeddings)),
        )
}
