//! Memory: spans and statements.

use ag_store::{
    Assertion, AssertionFilter, AssertionOrder, MemoryStore, Result, SpanChange, SpanEntry, StoredAssertion,
    StoredSpanEntry, StoredVector, memory::vector_of,
};
use ag_types::TenantScope;
use async_trait::async_trait;
use sqlx::postgres::PgRow;

use crate::{
    error::corrupt,
    rows::{Cursor, TenantQuery, tenant},
    store::PostgresStore,
};

const SPAN_COLUMNS: &str =
    "SELECT seq, owner_id, span_id, change, body, created_at FROM memory_spans WHERE plane_id = s.plane";
const ANY: &str = tenant!("SELECT 1 FROM kg_assertions WHERE plane_id = s.plane LIMIT 1");
const ASSERTION_COLUMNS: &str = "seq, assertion_id, owner_id, scope, subject, predicate, object, observed_at, \
     valid_from, valid_until, body";

#[async_trait]
impl MemoryStore for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.memory.spans", skip_all)]
    async fn spans(&self, scope: &TenantScope, owner_id: &str) -> Result<Vec<StoredSpanEntry>> {
        let mut query = TenantQuery::new(scope, SPAN_COLUMNS);
        query
            .push(" AND owner_id = ")
            .bind(owner_id.to_owned())
            .push(" ORDER BY seq");
        self.rows(query).await?.iter().map(span).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.memory.spans_by_id", skip_all)]
    async fn spans_by_id(&self, scope: &TenantScope, span_ids: &[String]) -> Result<Vec<StoredSpanEntry>> {
        if span_ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = TenantQuery::new(scope, SPAN_COLUMNS);
        query.push(" AND span_id = ANY (");
        query.bind(span_ids.to_vec()).push(") ORDER BY seq");
        self.rows(query).await?.iter().map(span).collect()
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
            query.push(" LIMIT ").bind(super::limit(limit));
        }
        self.rows(query).await?.iter().map(assertion).collect()
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
            .bind(model.to_owned())
            .push(" AND seq > ")
            .bind(after)
            .push(" ORDER BY seq LIMIT ")
            .bind(super::limit(limit));
        let rows = self.rows(query).await?;
        let read = |row: &PgRow| {
            let mut cursor = Cursor::new(row);
            Ok(StoredVector {
                seq: cursor.long()?,
                vector: vector_of(cursor.next::<&[u8]>()?),
            })
        };
        rows.iter().map(read).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.memory.assertions_at", skip_all)]
    async fn assertions_at(&self, scope: &TenantScope, seqs: &[i64]) -> Result<Vec<StoredAssertion>> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = select(ASSERTION_COLUMNS, scope, &AssertionFilter::default());
        query
            .push(" AND seq = ANY (")
            .bind(seqs.to_vec())
            .push(") ORDER BY seq");
        self.rows(query).await?.iter().map(assertion).collect()
    }

    #[tracing::instrument(level = "debug", name = "store.memory.has_assertions", skip_all)]
    async fn has_assertions(&self, scope: &TenantScope) -> Result<bool> {
        let found = self.database.read(sqlx::query(ANY).bind(scope.plane.0)).await?;
        Ok(!found.is_empty())
    }
}

impl PostgresStore {
    /// Texts are many: they would fill the statement cache.
    async fn rows(&self, mut query: TenantQuery) -> Result<Vec<PgRow>> {
        self.database.read(query.build().persistent(false)).await
    }
}

fn select(columns: &'static str, scope: &TenantScope, filter: &AssertionFilter) -> TenantQuery {
    let mut query = TenantQuery::new(scope, "SELECT ");
    query
        .push(columns)
        .push(" FROM kg_assertions WHERE plane_id = s.plane");
    let conditions = [
        (" AND owner_id = ", &filter.owner_id),
        (" AND scope = ", &filter.scope),
        (" AND predicate = ", &filter.predicate),
        (" AND observed_at >= ", &filter.since),
        (" AND observed_at <= ", &filter.until),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            query.push(condition).bind(value.clone());
        }
    }
    // The indexes hold the beginnings of terms.
    let terms = [
        (
            " AND left(subject, 256) = left(",
            ", 256) AND subject = ",
            &filter.subject,
        ),
        (
            " AND left(object, 256) = left(",
            ", 256) AND object = ",
            &filter.object,
        ),
    ];
    for (beginning, whole, value) in terms {
        if let Some(value) = value {
            query
                .push(beginning)
                .bind(value.clone())
                .push(whole)
                .bind(value.clone());
        }
    }
    if let Some(moment) = &filter.active_at {
        query
            .push(" AND (valid_from IS NULL OR valid_from <= ")
            .bind(moment.clone())
            .push(") AND (valid_until IS NULL OR valid_until > ")
            .bind(moment.clone())
            .push(")");
    }
    query
}

fn span(row: &PgRow) -> Result<StoredSpanEntry> {
    let mut cursor = Cursor::new(row);
    Ok(StoredSpanEntry {
        seq: cursor.long()?,
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

fn assertion(row: &PgRow) -> Result<StoredAssertion> {
    let mut cursor = Cursor::new(row);
    Ok(StoredAssertion {
        seq: cursor.long()?,
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
