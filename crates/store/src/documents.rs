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
}

impl DocumentKind {
    /// Stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::VisualFlow => "visual_flow",
            Self::DynamicFlow => "dynamic_flow",
            Self::Deprecation => "deprecation",
            Self::CapabilityDefault => "capability_default",
            Self::EndpointProfile => "endpoint_profile",
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
    /// Deletes one; `false` if there was none.
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool>;
}
