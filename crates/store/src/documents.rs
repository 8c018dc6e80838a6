//! Small rows per plane: the registry and its relatives.

use ag_types::{TenantScope, Timestamp};
use async_trait::async_trait;

use crate::Result;

/// Kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// Installed bundle; id `bundle@version`; the bytes are a blob by sha256.
    Bundle,
    /// Editor document.
    VisualFlow,
    /// Generated flow (schedule wrapper).
    DynamicFlow,
    /// Deprecation; id `bundle` + `\n` + flow or `*`.
    Deprecation,
    /// Capability default; id = route key.
    CapabilityDefault,
    /// Provider connection profile.
    EndpointProfile,
    /// Text bloc; id = its SHA-256 as given.
    Bloc,
    /// Default prompt-cache key; id = provider and model.
    PromptCacheKey,
    /// What the processes of one installation agree on (root plane); id `workspaces`: the mark of their mount.
    Installation,
}

impl DocumentKind {
    /// Every kind; the collection of blobs looks into all of them.
    pub const ALL: &[Self] = &[
        Self::Bundle,
        Self::VisualFlow,
        Self::DynamicFlow,
        Self::Deprecation,
        Self::CapabilityDefault,
        Self::EndpointProfile,
        Self::Bloc,
        Self::PromptCacheKey,
        Self::Installation,
    ];

    /// Stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::VisualFlow => "visual_flow",
            Self::DynamicFlow => "dynamic_flow",
            Self::Deprecation => "deprecation",
            Self::CapabilityDefault => "capability_default",
            Self::EndpointProfile => "endpoint_profile",
            Self::Bloc => "bloc",
            Self::PromptCacheKey => "prompt_cache_key",
            Self::Installation => "installation",
        }
    }
}

/// A stored document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Id inside plane and kind.
    pub id: String,
    /// JSON text.
    pub body: String,
    /// Last change.
    pub updated_at: Timestamp,
}

/// How a put treats an existing document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Insert or replace.
    Upsert,
    /// Insert only.
    Create,
    /// Replace only.
    Replace,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written; the plane's generation is now this.
    Written {
        /// Generation after the write.
        generation: i64,
    },
    /// `Create` found a document.
    Exists,
    /// `Replace` found none.
    Missing,
}

/// Documents. Each change raises the plane's generation in the same transaction.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Generation of the plane's registry.
    async fn generation(&self, scope: &TenantScope) -> Result<i64>;
    /// One document.
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>>;
    /// All documents of a kind, by id; with the generation they belong to.
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)>;
    /// Writes one.
    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    ) -> Result<PutOutcome>;
    /// Replaces one whose body is still the one that the caller has `read`. `false`, and nothing is written, when it was
    /// changed or deleted meanwhile.
    async fn replace_unchanged(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        read: &str,
        document: Document,
    ) -> Result<bool>;
    /// Deletes one; `false` if there was none.
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new kind does not compile here until it has a place, and fails until it is in the list.
    const fn place(kind: DocumentKind) -> usize {
        match kind {
            DocumentKind::Bundle => 0,
            DocumentKind::VisualFlow => 1,
            DocumentKind::DynamicFlow => 2,
            DocumentKind::Deprecation => 3,
            DocumentKind::CapabilityDefault => 4,
            DocumentKind::EndpointProfile => 5,
            DocumentKind::Bloc => 6,
            DocumentKind::PromptCacheKey => 7,
            DocumentKind::Installation => 8,
        }
    }

    #[test]
    fn no_kind_is_forgotten() {
        let places: Vec<usize> = DocumentKind::ALL.iter().map(|kind| place(*kind)).collect();
        assert_eq!(
            places,
            (0..=place(DocumentKind::Installation)).collect::<Vec<_>>()
        );
    }
}
