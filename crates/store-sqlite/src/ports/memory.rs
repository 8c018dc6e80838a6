//! Memory: spans and statements.

use ag_store::{
    Assertion, AssertionFilter, AssertionOrder, MemoryStore, Result, SpanChange, SpanEntry, StoredAssertion,
    StoredSpanEntry, StoredVector, memory::vector_of,
};
use ag_types::TenantScope;
use async_trait::async_trait;

use super::count;
use crate::{
    db::{Query, Value},
    error::corrupt,
    rows::Cursor,
    store::SqliteStore,
};

const SPAN_COLUMNS: &str =
    "SELECT seq, owner_id, span_id, change, body, created_at FROM memory_spans WHERE plane_id = ";
const ASSERTION_COLUMNS: &str = "seq, assertion_id, owner_id, scope, subject, predicate, object, observed_at, \
     valid_from, valid_until, body";

#[async_trait]
impl MemoryStore for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.memory.spans", skip_all)]
    async fn spans(&self, scope: &TenantScope, owner_id: &str) -> Result<Vec<StoredSpanEntry>> {
        let mut query = Query::new(SPAN_COLUMNS);
        query
            .bind(scope.plane)
            .push(" AND owner_id = ")
            .bind(Value::text(owner_id))
            .push(" ORDER BY seq");
        self.scan(move |db| db.query(&query, span)).await
    }

    #[tracing::instrument(level = "debug", name = "store.memory.spans_by_id", skip_all)]
    async fn spans_by_id(&self, scope: &TenantScope, span_ids: &[String]) -> Result<Vec<StoredSpanEntry>> {
        if span_ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = Query::new(SPAN_COLUMNS);
        query.bind(scope.plane).push(" AND span_id IN (");
        query.list(span_ids).push(") ORDER BY seq");
        self.scan(move |db| db.query(&query, span)).await
    }

    #[tracing::instrument(level = "debug", name = "store.memory.assertions", skip_all)]
    async fn assertions(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        order: AssertionOrder,
        limit: usize,
    ) -> Result<Vec<StoredAssertion>> {
        let mut query = select(ASSERTION_COLUMNS, scope, filter);
        query.push(match order {
            AssertionOrder::NewestFirst => " ORDER BY observed_at DESC, seq",
            AssertionOrder::OldestFirst => " ORDER BY observed_at, seq",
        });
        if limit > 0 {
            query.push(" LIMIT ").bind(count(limit));
        }
        self.scan(move |db| db.query(&query, assertion)).await
    }

    #[tracing::instrument(level = "debug", name = "store.memory.assertion_vectors", skip_all)]
    async fn assertion_vectors(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        model: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredVector>> {
        let mut query = select("seq, vector", scope, filter);
        query
            .push(" AND model = ")
            .bind(Value::text(model))
            .push(" AND seq > ")
            .bind(after)
            .push(" ORDER BY seq LIMIT ")
            .bind(count(limit));
        let read = |cursor: &mut Cursor<'_>| {
            Ok(StoredVector {
                seq: cursor.int()?,
                vector: vector_of(cursor.bytes()?),
            })
        };
        self.scan(move |db| db.query(&query, read)).await
    }

    #[tracing::instrument(level = "debug", name = "store.memory.assertions_at", skip_all)]
    async fn assertions_at(&self, scope: &TenantScope, seqs: &[i64]) -> Result<Vec<StoredAssertion>> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = select(ASSERTION_COLUMNS, scope, &AssertionFilter::default());
        query.push(" AND seq IN (");
        query.list(seqs.iter().copied()).push(") ORDER BY seq");
        self.scan(move |db| db.query(&query, assertion)).await
    }

    #[tracing::instrument(level = "debug", name = "store.memory.has_assertions", skip_all)]
    async fn has_assertions(&self, scope: &TenantScope) -> Result<bool> {
        const SQL: &str = "SELECT 1 FROM kg_assertions WHERE plane_id = ? LIMIT 1";
        let found = self.read(|db| db.first(SQL, &[scope.plane.into()], |_| Ok(())))?;
        Ok(found.is_some())
    }
}

fn select(columns: &'static str, scope: &TenantScope, filter: &AssertionFilter) -> Query {
    let mut query = Query::new("SELECT ");
    query
        .push(columns)
        .push(" FROM kg_assertions WHERE plane_id = ")
        .bind(scope.plane);
    let conditions = [
        (" AND owner_id = ", &filter.owner_id),
        (" AND scope = ", &filter.scope),
        (" AND subject = ", &filter.subject),
        (" AND predicate = ", &filter.predicate),
        (" AND object = ", &filter.object),
        (" AND observed_at >= ", &filter.since),
        (" AND observed_at <= ", &filter.until),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            query.push(condition).bind(value);
        }
    }
    if let Some(moment) = &filter.active_at {
        query
            .push(" AND (valid_from IS NULL OR valid_from <= ")
            .bind(moment)
            .push(") AND (valid_until IS NULL OR valid_until > ")
            .bind(moment)
            .push(")");
    }
    query
}

fn span(cursor: &mut Cursor<'_>) -> Result<StoredSpanEntry> {
    Ok(StoredSpanEntry {
        seq: cursor.int()?,
        entry: SpanEntry {
            owner_id: cursor.string()?,
            span_id: cursor.string()?,
            change: {
                let text = cursor.text()?;
                SpanChange::parse(text).ok_or_else(|| corrupt("change of a span", text))?
            },
            body: cursor.shared()?,
            created_at: cursor.time()?,
        },
    })
}

fn assertion(cursor: &mut Cursor<'_>) -> Result<StoredAssertion> {
    Ok(StoredAssertion {
        seq: cursor.int()?,
        assertion: Assertion {
            assertion_id: cursor.string()?,
            owner_id: cursor.string()?,
            scope: cursor.string()?,
            subject: cursor.string()?,
            predicate: cursor.string()?,
            object: cursor.string()?,
            observed_at: cursor.string()?,
            valid_from: cursor.opt_string()?,
            valid_until: cursor.opt_string()?,
            body: cursor.shared()?,
            embedding: None,
        },
    })
}
