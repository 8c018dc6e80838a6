//! Memory of runs, sessions and the gateway: spans and statements of the knowledge graph, as rows of their owner
//! (architecture D2a).
//!
//! An owner is a run id, `session_memory_…` or `global_memory`. Rows are only added, by the commit of the run that
//! executes the effect, whatever the owner: so two runs that write to one session never overwrite each other. What
//! changes about a span (its tags) is a later entry about the same span; readers fold the log.
//!
//! `seq` rises with the order of insertion inside a store. It orders and pages, and is not a feed: rows of two
//! commits may become visible in another order than their numbers.
//!
//! Vectors are little-endian `f32`. Adapters page them out; similarity is computed above the store, so every database
//! gives the same answer.

use std::sync::Arc;

use ag_types::{TenantScope, Timestamp};
use async_trait::async_trait;

use crate::Result;

/// What an entry says about its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanChange {
    /// The span itself: the body is its record.
    Added,
    /// Tags: the body is `{tags, merge, tagged_at, tagged_by?}`.
    Tagged,
}

impl SpanChange {
    /// Stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Tagged => "tagged",
        }
    }

    /// Reads the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Added, Self::Tagged]
            .into_iter()
            .find(|change| change.as_str() == text)
    }
}

/// An entry in the log of an owner's spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanEntry {
    /// Owner.
    pub owner_id: String,
    /// Artifact id of the span's content.
    pub span_id: String,
    /// What is said.
    pub change: SpanChange,
    /// JSON object.
    pub body: Arc<str>,
    /// Time of the effect.
    pub created_at: Timestamp,
}

/// The vector of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Which model made it (`provider/model`): vectors of different models are never compared.
    pub model: Arc<str>,
    /// Its numbers.
    pub vector: Arc<[f32]>,
}

/// A statement of the knowledge graph. Terms are compared as they are stored; their form is decided above.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// Id for clients.
    pub assertion_id: String,
    /// Owner.
    pub owner_id: String,
    /// `run`, `session` or `global`.
    pub scope: String,
    /// Subject.
    pub subject: String,
    /// Predicate.
    pub predicate: String,
    /// Object.
    pub object: String,
    /// ISO 8601 text, compared as text.
    pub observed_at: String,
    /// First moment it holds.
    pub valid_from: Option<String>,
    /// First moment it no longer holds.
    pub valid_until: Option<String>,
    /// JSON object with the rest: `confidence?`, `provenance`, `attributes`.
    pub body: Arc<str>,
    /// Of its text, where an embedding model is configured.
    pub embedding: Option<Embedding>,
}

/// A row to add.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryRow {
    /// About a span.
    Span(SpanEntry),
    /// A statement.
    Assertion(Box<Assertion>),
}

impl MemoryRow {
    /// Owner of the row.
    pub fn owner_id(&self) -> &str {
        match self {
            Self::Span(entry) => &entry.owner_id,
            Self::Assertion(assertion) => &assertion.owner_id,
        }
    }
}

/// A stored entry about a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSpanEntry {
    /// Place in the order of insertion.
    pub seq: i64,
    /// The entry.
    pub entry: SpanEntry,
}

/// A stored statement, without its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAssertion {
    /// Place in the order of insertion.
    pub seq: i64,
    /// The statement.
    pub assertion: Assertion,
}

/// The vector of a stored statement.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVector {
    /// The statement's place.
    pub seq: i64,
    /// Its numbers.
    pub vector: Vec<f32>,
}

/// Which statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssertionFilter {
    /// Scope, if any is asked for.
    pub scope: Option<String>,
    /// Owner; none means every owner of the plane.
    pub owner_id: Option<String>,
    /// Exactly this subject.
    pub subject: Option<String>,
    /// Exactly this predicate.
    pub predicate: Option<String>,
    /// Exactly this object.
    pub object: Option<String>,
    /// Not observed before.
    pub since: Option<String>,
    /// Not observed after.
    pub until: Option<String>,
    /// Valid at this moment: `valid_from <= t < valid_until`, open ends included.
    pub active_at: Option<String>,
}

impl AssertionFilter {
    /// The filter on values in memory; adapters say the same in SQL.
    pub fn matches(&self, assertion: &Assertion) -> bool {
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let active = |t: &str| {
            assertion.valid_from.as_deref().is_none_or(|from| from <= t)
                && assertion.valid_until.as_deref().is_none_or(|until| until > t)
        };
        is(&self.scope, &assertion.scope)
            && is(&self.owner_id, &assertion.owner_id)
            && is(&self.subject, &assertion.subject)
            && is(&self.predicate, &assertion.predicate)
            && is(&self.object, &assertion.object)
            && self
                .since
                .as_deref()
                .is_none_or(|since| *assertion.observed_at >= *since)
            && self
                .until
                .as_deref()
                .is_none_or(|until| *assertion.observed_at <= *until)
            && self.active_at.as_deref().is_none_or(active)
    }
}

/// Order of a listing by `observed_at`; statements of one moment keep the order of their insertion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AssertionOrder {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// Memory, read. It is written by commits and starts.
#[async_trait]
pub trait MemoryStore: Send + Sync {
    /// The log of an owner's spans, in the order of insertion.
    async fn spans(&self, scope: &TenantScope, owner_id: &str) -> Result<Vec<StoredSpanEntry>>;
    /// The entries about some spans, whoever owns them, in the order of insertion.
    async fn spans_by_id(&self, scope: &TenantScope, span_ids: &[String]) -> Result<Vec<StoredSpanEntry>>;
    /// Statements; at most `limit`, 0 = all.
    async fn assertions(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        order: AssertionOrder,
        limit: usize,
    ) -> Result<Vec<StoredAssertion>>;
    /// A page of the vectors of a model behind `after`, in the order of insertion.
    async fn assertion_vectors(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        model: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredVector>>;
    /// The statements at some places, in the order of insertion.
    async fn assertions_at(&self, scope: &TenantScope, seqs: &[i64]) -> Result<Vec<StoredAssertion>>;
    /// True if the plane has any statement.
    async fn has_assertions(&self, scope: &TenantScope) -> Result<bool>;
}

/// Numbers as stored.
pub fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Reads stored numbers; bytes that are no whole number are left out.
pub fn vector_of(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|chunk| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
        .collect()
}

/// A text as a typed column takes it: U+0000, which databases refuse, becomes U+FFFD (architecture D7).
pub fn column_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_storage() {
        let vector = [0.0, -1.5, f32::MIN_POSITIVE, 3.25e7];
        assert_eq!(vector_of(&vector_bytes(&vector)), vector);
        assert_eq!(
            vector_of(&[0, 0, 0x80, 0x3f, 9]),
            [1.0],
            "a torn tail is left out"
        );
    }

    #[test]
    fn changes_are_read_as_written() {
        for change in [SpanChange::Added, SpanChange::Tagged] {
            assert_eq!(SpanChange::parse(change.as_str()), Some(change));
        }
        assert_eq!(SpanChange::parse("x"), None);
    }
}
