//! Memory.

use ag_types::{PlaneId, TenantScope};
use async_trait::async_trait;

use super::FakeStore;
use crate::{
    Assertion, AssertionFilter, AssertionOrder, MemoryRow, MemoryStore, Result, SpanEntry, StoredAssertion,
    StoredSpanEntry, StoredVector, memory::column_text,
};

/// Where purged rows lie.
pub(super) const NO_PLANE: PlaneId = PlaneId(0);

impl FakeStore {
    fn span_entries(
        &self,
        scope: &TenantScope,
        wanted: impl Fn(&SpanEntry) -> bool,
    ) -> Result<Vec<StoredSpanEntry>> {
        let world = self.world()?;
        let entry = |(seq, (plane, row)): (i64, &(PlaneId, MemoryRow))| match row {
            MemoryRow::Span(entry) if *plane == scope.plane && wanted(entry) => Some(StoredSpanEntry {
                seq,
                entry: entry.clone(),
            }),
            _ => None,
        };
        Ok((1..).zip(&world.memory).filter_map(entry).collect())
    }

    /// As columns hold them, with their vectors.
    fn statements(&self, scope: &TenantScope, filter: &AssertionFilter) -> Result<Vec<StoredAssertion>> {
        let world = self.world()?;
        let statement = |(seq, (plane, row)): (i64, &(PlaneId, MemoryRow))| match row {
            MemoryRow::Assertion(row) if *plane == scope.plane => Some(StoredAssertion {
                seq,
                assertion: as_columns(row),
            }),
            _ => None,
        };
        Ok((1..)
            .zip(&world.memory)
            .filter_map(statement)
            .filter(|stored| filter.matches(&stored.assertion))
            .collect())
    }
}

fn as_columns(row: &Assertion) -> Assertion {
    let optional = |text: &Option<String>| text.as_deref().map(column_text);
    Assertion {
        subject: column_text(&row.subject),
        predicate: column_text(&row.predicate),
        object: column_text(&row.object),
        observed_at: column_text(&row.observed_at),
        valid_from: optional(&row.valid_from),
        valid_until: optional(&row.valid_until),
        ..row.clone()
    }
}

fn without_vectors(rows: Vec<StoredAssertion>) -> Vec<StoredAssertion> {
    let bare = |mut row: StoredAssertion| {
        row.assertion.embedding = None;
        row
    };
    rows.into_iter().map(bare).collect()
}

#[async_trait]
impl MemoryStore for FakeStore {
    async fn spans(&self, scope: &TenantScope, owner_id: &str) -> Result<Vec<StoredSpanEntry>> {
        self.span_entries(scope, |entry| entry.owner_id == owner_id)
    }

    async fn spans_by_id(&self, scope: &TenantScope, span_ids: &[String]) -> Result<Vec<StoredSpanEntry>> {
        self.span_entries(scope, |entry| span_ids.contains(&entry.span_id))
    }

    async fn assertions(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        order: AssertionOrder,
        limit: usize,
    ) -> Result<Vec<StoredAssertion>> {
        let mut rows = self.statements(scope, filter)?;
        rows.sort_by(|a, b| {
            let by_time = a.assertion.observed_at.cmp(&b.assertion.observed_at);
            let by_time = match order {
                AssertionOrder::NewestFirst => by_time.reverse(),
                AssertionOrder::OldestFirst => by_time,
            };
            by_time.then(a.seq.cmp(&b.seq))
        });
        if limit > 0 {
            rows.truncate(limit);
        }
        Ok(without_vectors(rows))
    }

    async fn assertion_vectors(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        model: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredVector>> {
        let rows = self.statements(scope, filter)?.into_iter();
        let vector = |row: StoredAssertion| {
            let embedding = row.assertion.embedding.filter(|found| &*found.model == model)?;
            Some(StoredVector {
                seq: row.seq,
                vector: embedding.vector.to_vec(),
            })
        };
        Ok(rows
            .filter(|row| row.seq > after)
            .filter_map(vector)
            .take(limit)
            .collect())
    }

    async fn assertions_at(&self, scope: &TenantScope, seqs: &[i64]) -> Result<Vec<StoredAssertion>> {
        let mut rows = self.statements(scope, &AssertionFilter::default())?;
        rows.retain(|row| seqs.contains(&row.seq));
        Ok(without_vectors(rows))
    }

    async fn has_assertions(&self, scope: &TenantScope) -> Result<bool> {
        Ok(!self.statements(scope, &AssertionFilter::default())?.is_empty())
    }
}
