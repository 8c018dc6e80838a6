//! Finding statements, by their terms or by what they are about. Used by effects and by `POST /kg/query`.
//!
//! Search by meaning compares the vector of the query with those of all statements that pass the other filters, page
//! by page, so the answer is exact and the same in every database; memory holds one page and the best found so far.

use std::cmp::Ordering;

use ag_store::{AssertionFilter, AssertionOrder, Store, StoreError, StoredAssertion};
use ag_types::{Object, TenantScope};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::handler::Failure;
use crate::memory::{EmbeddingError, Embeddings};

/// Vectors in memory at a time.
const PAGE: usize = 512;
/// Statements read at once by their places.
const PLACES: usize = 500;

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct KgSearch {
    /// Terms and times.
    pub filter: AssertionFilter,
    /// What it is about; empty = no search by meaning.
    pub query_text: Option<String>,
    /// Least similarity.
    pub min_score: Option<f64>,
    /// Order by time; a search by meaning is ordered by similarity instead.
    pub order: AssertionOrder,
    /// At most this many; 0 = all.
    pub limit: usize,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no model for a search by meaning.
    #[error(
        "query_text requires a configured embedder (vector search). Configure the embedding.text route, or omit query_text."
    )]
    NoEmbedder,
    /// The model failed.
    #[error("{0}")]
    Embedding(EmbeddingError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Store(error) => Self::Store(error),
            SearchError::Embedding(error) => error.into(),
            SearchError::NoEmbedder => Self::Text(error.to_string()),
        }
    }
}

impl KgSearch {
    /// Runs it: items as clients see them, the best or the newest first. The query's vector is made once for several
    /// owners: see [`QueryVector`].
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn run(
        &self,
        store: &dyn Store,
        scope: &TenantScope,
        vector: Option<&QueryVector>,
    ) -> Result<Vec<Value>, SearchError> {
        match vector {
            None => {
                let rows = store
                    .assertions(scope, &self.filter, self.order, self.limit)
                    .await?;
                Ok(rows.iter().map(|row| item(row, None)).collect())
            }
            Some(vector) => self.by_meaning(store, scope, vector).await,
        }
    }

    /// The vector of the query text; `None` without one.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn vector(
        &self,
        embeddings: &Embeddings,
        scope: &TenantScope,
        cancel: &CancellationToken,
    ) -> Result<Option<QueryVector>, SearchError> {
        let Some(text) = self
            .query_text
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
        else {
            return Ok(None);
        };
        match embeddings.embed(scope, &[text.to_owned()], cancel).await {
            Ok((model, mut vectors)) => Ok(vectors.pop().map(|vector| QueryVector {
                model: model.key(),
                norm: norm(&vector),
                vector,
            })),
            Err(EmbeddingError::NotConfigured | EmbeddingError::Unsupported(_)) => {
                Err(SearchError::NoEmbedder)
            }
            Err(error) => Err(SearchError::Embedding(error)),
        }
    }

    async fn by_meaning(
        &self,
        store: &dyn Store,
        scope: &TenantScope,
        query: &QueryVector,
    ) -> Result<Vec<Value>, SearchError> {
        let mut best: Vec<Scored> = Vec::new();
        let mut after = 0;
        loop {
            let page = store
                .assertion_vectors(scope, &self.filter, &query.model, after, PAGE)
                .await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            let whole = page.len() == PAGE;
            for row in page {
                let Some(distance) = query.distance(&row.vector) else {
                    continue;
                };
                let score = 1.0 - f64::from(distance);
                if self.min_score.is_none_or(|least| score >= least) {
                    best.push(Scored {
                        seq: row.seq,
                        score,
                        distance,
                    });
                }
            }
            self.keep_best(&mut best);
            if !whole {
                break;
            }
        }
        let mut items = Vec::with_capacity(best.len());
        for chunk in best.chunks(PLACES) {
            let places: Vec<i64> = chunk.iter().map(|scored| scored.seq).collect();
            let rows = store.assertions_at(scope, &places).await?;
            for scored in chunk {
                if let Ok(at) = rows.binary_search_by_key(&scored.seq, |row| row.seq) {
                    items.push(item(&rows[at], Some(scored)));
                }
            }
        }
        Ok(items)
    }

    fn keep_best(&self, best: &mut Vec<Scored>) {
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.seq.cmp(&b.seq)));
        if self.limit > 0 {
            best.truncate(self.limit);
        }
    }
}

/// The vector of a query.
#[derive(Debug, Clone)]
pub struct QueryVector {
    model: String,
    vector: Vec<f32>,
    norm: f64,
}

impl QueryVector {
    /// Cosine distance, in the precision that vectors are stored in; `None` for vectors that cannot be compared.
    fn distance(&self, other: &[f32]) -> Option<f32> {
        if other.len() != self.vector.len() {
            return None;
        }
        let dot: f64 = self
            .vector
            .iter()
            .zip(other)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        let norms = self.norm * norm(other);
        let cosine = if norms > 0.0 { dot / norms } else { 0.0 };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "distances are shown in single precision"
        )]
        Some((1.0 - cosine) as f32)
    }
}

fn norm(vector: &[f32]) -> f64 {
    vector
        .iter()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt()
}

/// A hit of a search by meaning.
#[derive(Debug, Clone)]
pub struct Scored {
    seq: i64,
    score: f64,
    distance: f32,
}

/// A statement as clients see it.
pub fn item(row: &StoredAssertion, scored: Option<&Scored>) -> Value {
    let row = &row.assertion;
    let body: Object = serde_json::from_str(&row.body).unwrap_or_default();
    let mut out = Object::new();
    for (key, value) in [
        ("subject", &row.subject),
        ("predicate", &row.predicate),
        ("object", &row.object),
        ("scope", &row.scope),
        ("owner_id", &row.owner_id),
        ("observed_at", &row.observed_at),
    ] {
        out.insert(key.to_owned(), value.as_str().into());
    }
    for (key, value) in [("valid_from", &row.valid_from), ("valid_until", &row.valid_until)] {
        out.extend(value.as_deref().map(|value| (key.to_owned(), value.into())));
    }
    out.extend(
        body.get("confidence")
            .map(|value| ("confidence".to_owned(), value.clone())),
    );
    let object = |key: &str| {
        body.get(key)
            .filter(|value| value.is_object())
            .cloned()
            .unwrap_or_else(|| json!({}))
    };
    out.insert("provenance".to_owned(), object("provenance"));
    let mut attributes = object("attributes");
    if let Some(scored) = scored {
        attributes["_retrieval"] = json!({
            "score": scored.score, "distance": f64::from(scored.distance), "metric": "cosine",
        });
    }
    out.insert("attributes".to_owned(), attributes);
    Value::Object(out)
}

/// Similarity of an item, if it was searched by meaning.
pub(crate) fn score_of(item: &Value) -> Option<f64> {
    item.pointer("/attributes/_retrieval/score")
        .and_then(Value::as_f64)
}

/// Orders items by time; those of one moment keep their order.
pub fn sort_by_time(items: &mut [Value], order: AssertionOrder) {
    sort_items(items, false, order);
}

/// Orders items of several owners: by similarity, else by time.
pub(crate) fn sort_items(items: &mut [Value], by_score: bool, order: AssertionOrder) {
    let time = |item: &Value| {
        item.get("observed_at")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let number = |item: &Value| score_of(item).unwrap_or(f64::MIN);
    items.sort_by(|a, b| match (by_score, order) {
        (true, _) => number(b).partial_cmp(&number(a)).unwrap_or(Ordering::Equal),
        (false, AssertionOrder::NewestFirst) => time(b).cmp(&time(a)),
        (false, AssertionOrder::OldestFirst) => time(a).cmp(&time(b)),
    });
}
