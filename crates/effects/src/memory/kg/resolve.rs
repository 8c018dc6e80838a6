//! `memory_kg_resolve`: which entities a label may mean.

use ag_kernel::EffectRequest;
use ag_store::{AssertionFilter, AssertionOrder};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    query::{in_all, refused, targets},
    search::{KgSearch, score_of},
    terms::query_term,
};
use crate::{
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure},
    memory::{
        Embeddings,
        levels::{self, Level},
        owners::{MemoryOwners, Scope, flag, integer, scope_text, text},
    },
};

/// Predicates that name an entity, the strongest first.
const LABELS: [&str; 5] = [
    "schema:name",
    "skos:preflabel",
    "skos:altlabel",
    "dcterms:title",
    "dcterms:identifier",
];
const TYPE: &str = "rdf:type";
const CANDIDATES: i64 = 5;
const MAX_CANDIDATES: i64 = 50;
/// Statements that are looked at for one label.
const HITS: usize = 200;
/// Statements shown for a candidate.
const EVIDENCE: usize = 3;

/// The handler.
pub struct KgResolve {
    owners: MemoryOwners,
    embeddings: Embeddings,
}

struct Candidate {
    id: String,
    label: String,
    scope: String,
    owner_id: String,
    score: f64,
    evidence: Vec<Value>,
}

impl KgResolve {
    /// With the owners and the embedding model of this gateway.
    pub fn new(owners: MemoryOwners, embeddings: Embeddings) -> Self {
        Self { owners, embeddings }
    }

    async fn answer(
        &self,
        ctx: &EffectCtx<'_>,
        payload: &Object,
        level: Option<&'static Level>,
    ) -> Result<Value, Failure> {
        let label = text(payload, "label").ok_or("label is required")?;
        let label = query_term(&label);
        // A payload that names no type is asked by the name of its own kind, which no entity has: recorded behaviour.
        let expected = text(payload, "expected_type").or_else(|| text(payload, "type"));
        let expected = expected.map(|kind| query_term(&kind));
        let targets = targets(&self.owners, ctx, payload, &scope_text(payload)).await?;
        let most = integer(payload, "max_candidates").filter(|wish| *wish > 0);
        let most = match (most, level) {
            (Some(wish), None) => wish.min(MAX_CANDIDATES),
            (Some(wish), Some(level)) => wish.min(level.candidates),
            (None, level) => level.map_or(CANDIDATES, |level| level.candidates),
        };
        let most = usize::try_from(most).unwrap_or(1).max(1);

        let mut candidates: Vec<Candidate> = Vec::new();
        let exact = KgSearch {
            filter: AssertionFilter {
                object: Some(label.clone()),
                ..AssertionFilter::default()
            },
            limit: HITS,
            order: AssertionOrder::NewestFirst,
            ..KgSearch::default()
        };
        let mut hits = in_all(ctx, &exact, &targets, None).await?;
        hits.retain(|hit| LABELS.contains(&field(hit, "predicate")));
        for hit in hits {
            add(&mut candidates, hit, 1.0);
        }
        let mut warnings = Vec::new();
        let min_score = payload
            .get("min_score")
            .and_then(ag_pyvalue::opt_float)
            .filter(|score| score.is_finite());
        if semantic(payload, level, &candidates) {
            let mut search = KgSearch {
                query_text: Some(label.clone()),
                min_score,
                limit: HITS,
                ..KgSearch::default()
            };
            match self.similar(ctx, &mut search, &targets).await {
                Ok(hits) => {
                    for hit in hits {
                        let score = score_of(&hit).unwrap_or_default();
                        add(&mut candidates, hit, score);
                    }
                }
                Err(failure) => match failure.outage() {
                    Ok(away) => return Err(away.into()),
                    Err(error) => warnings.push(error),
                },
            }
        }
        let mut found = Vec::new();
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        for candidate in candidates {
            if found.len() >= most {
                break;
            }
            let types = self.types(ctx, &candidate).await?;
            if expected
                .as_ref()
                .is_some_and(|expected| !types.contains(expected))
            {
                continue;
            }
            found.push(json!({
                "id": candidate.id, "label": candidate.label, "types": types, "scope": candidate.scope,
                "owner_id": candidate.owner_id, "score": candidate.score, "evidence": candidate.evidence,
            }));
        }
        let mut result = Object::new();
        result.insert("ok".to_owned(), true.into());
        result.insert("count".to_owned(), found.len().into());
        result.insert("candidates".to_owned(), found.into());
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), json!(warnings));
        }
        result.insert(
            "raw".to_owned(),
            json!({"label": label, "expected_type": expected}),
        );
        Ok(result.into())
    }

    async fn similar(
        &self,
        ctx: &EffectCtx<'_>,
        search: &mut KgSearch,
        targets: &[(Scope, String)],
    ) -> Result<Vec<Value>, Failure> {
        let vector = search.vector(&self.embeddings, ctx.scope, &ctx.cancel).await?;
        let mut hits = in_all(ctx, search, targets, vector.as_ref()).await?;
        hits.retain(|hit| LABELS.contains(&field(hit, "predicate")));
        Ok(hits)
    }

    async fn types(&self, ctx: &EffectCtx<'_>, candidate: &Candidate) -> Result<Vec<String>, Failure> {
        let filter = AssertionFilter {
            scope: Some(candidate.scope.clone()),
            owner_id: Some(candidate.owner_id.clone()),
            subject: Some(candidate.id.clone()),
            predicate: Some(TYPE.to_owned()),
            ..AssertionFilter::default()
        };
        let rows = ctx
            .store
            .assertions(ctx.scope, &filter, AssertionOrder::NewestFirst, HITS)
            .await?;
        let mut types: Vec<String> = Vec::new();
        for row in rows {
            let kind = query_term(&row.assertion.object);
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        Ok(types)
    }
}

fn field<'v>(item: &'v Value, key: &str) -> &'v str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether similar labels are looked for too: as the author says, else by level, else where nothing is equal.
fn semantic(payload: &Object, level: Option<&'static Level>, exact: &[Candidate]) -> bool {
    if let Some(wish) = flag(payload, "include_semantic") {
        return wish;
    }
    match level.map(|level| level.name) {
        Some("urgent") => false,
        Some("deep") => true,
        _ => exact.is_empty(),
    }
}

/// Adds a hit to its entity, which takes the best score.
fn add(candidates: &mut Vec<Candidate>, hit: Value, score: f64) {
    let known = candidates.iter_mut().find(|candidate| {
        candidate.id == field(&hit, "subject")
            && candidate.owner_id == field(&hit, "owner_id")
            && candidate.scope == field(&hit, "scope")
    });
    match known {
        Some(candidate) => {
            candidate.score = candidate.score.max(score);
            if candidate.evidence.len() < EVIDENCE {
                candidate.evidence.push(hit);
            }
        }
        None => candidates.push(Candidate {
            id: field(&hit, "subject").to_owned(),
            label: field(&hit, "object").to_owned(),
            scope: field(&hit, "scope").to_owned(),
            owner_id: field(&hit, "owner_id").to_owned(),
            score,
            evidence: vec![hit],
        }),
    }
}

#[async_trait]
impl EffectHandler for KgResolve {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let payload = &request.open.payload;
        let level = match levels::of(payload) {
            Ok(level) => level,
            Err(error) => return Answer::failed(error),
        };
        match self.answer(ctx, payload, level).await {
            Ok(result) => Answer::done(result),
            Err(failure) => refused(
                failure,
                |error| json!({"ok": false, "count": 0, "candidates": [], "error": error}),
            ),
        }
    }
}
