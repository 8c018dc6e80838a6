//! `memory_kg_query`: statements of the knowledge graph.

use ag_kernel::EffectRequest;
use ag_store::{AssertionFilter, AssertionOrder};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    packets,
    search::{KgSearch, QueryVector, sort_items},
    terms::{predicate_term, query_term},
};
use crate::{
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure},
    memory::{
        Embeddings,
        levels::{self, Clamp, Level},
        owners::{MemoryOwners, Scope, Subject, integer, named_owner, scope_text, text},
    },
};

/// The handler.
pub struct KgQuery {
    owners: MemoryOwners,
    embeddings: Embeddings,
}

const LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 10_000;

/// Bounds of a query.
struct Bounds {
    limit: usize,
    min_score: Option<f64>,
    tokens: Option<i64>,
    effort: Option<Value>,
    warnings: Vec<String>,
}

impl KgQuery {
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
        let scope = scope_text(payload);
        let targets = targets(&self.owners, ctx, payload, &scope).await?;
        let mut search = search(payload);
        let bounds = bounds(payload, level, search.query_text.is_some());
        search.limit = bounds.limit;
        search.min_score = bounds.min_score;
        let vector = search.vector(&self.embeddings, ctx.scope, &ctx.cancel).await?;
        let by_score = vector.is_some();
        let mut items = in_all(ctx, &search, &targets, vector.as_ref()).await?;
        if targets.len() > 1 {
            sort_items(&mut items, by_score, search.order);
            if bounds.limit > 0 {
                items.truncate(bounds.limit);
            }
        }
        let mut result = Object::new();
        result.insert("ok".to_owned(), true.into());
        result.insert("count".to_owned(), items.len().into());
        result.insert("items".to_owned(), Value::Null);
        result.extend(bounds.effort.map(|effort| ("effort".to_owned(), effort)));
        if let Some(tokens) = bounds.tokens {
            packets::pack(&mut result, &items, &scope, by_score, tokens);
        }
        result.insert("items".to_owned(), items.into());
        if !bounds.warnings.is_empty() {
            result.insert("warnings".to_owned(), json!(bounds.warnings));
        }
        Ok(result.into())
    }
}

/// Scope and owner of each search.
pub(super) async fn targets(
    owners: &MemoryOwners,
    ctx: &EffectCtx<'_>,
    payload: &Object,
    scope: &str,
) -> Result<Vec<(Scope, String)>, Failure> {
    let subject = Subject::of(ctx, payload).await?;
    let named = named_owner(payload)?;
    let scopes = match scope {
        "all" => Scope::ALL.to_vec(),
        name => vec![Scope::parse(name).ok_or_else(|| format!("Unknown memory scope: {name}"))?],
    };
    let mut targets = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let owner = match &named {
            Some(owner) => owner.clone(),
            None => owners.owner(ctx, &subject, scope).await?.id,
        };
        targets.push((scope, owner));
    }
    Ok(targets)
}

/// Runs a search for each owner; what they find, one after the other.
pub(super) async fn in_all(
    ctx: &EffectCtx<'_>,
    search: &KgSearch,
    targets: &[(Scope, String)],
    vector: Option<&QueryVector>,
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    for (scope, owner) in targets {
        let mut search = search.clone();
        search.filter.scope = Some(scope.as_str().to_owned());
        search.filter.owner_id = Some(owner.clone());
        let found = search.run(ctx.store, ctx.scope, vector).await;
        items.extend(found?);
    }
    Ok(items)
}

fn search(payload: &Object) -> KgSearch {
    let term = |key: &str| text(payload, key).map(|term| query_term(&term));
    KgSearch {
        filter: AssertionFilter {
            subject: term("subject"),
            predicate: text(payload, "predicate").map(|predicate| predicate_term(&predicate)),
            object: term("object"),
            since: text(payload, "since"),
            until: text(payload, "until"),
            active_at: text(payload, "active_at"),
            ..AssertionFilter::default()
        },
        query_text: text(payload, "query_text"),
        order: match text(payload, "order")
            .map(|order| order.to_lowercase())
            .as_deref()
        {
            Some("asc") => AssertionOrder::OldestFirst,
            _ => AssertionOrder::NewestFirst,
        },
        ..KgSearch::default()
    }
}

fn bounds(payload: &Object, level: Option<&'static Level>, by_meaning: bool) -> Bounds {
    let limit = integer(payload, "limit").filter(|wish| *wish != 0);
    let score = payload
        .get("min_score")
        .and_then(ag_pyvalue::opt_float)
        .filter(|score| score.is_finite());
    let tokens = integer(payload, "max_input_tokens").filter(|wish| *wish > 0);
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let Some(level) = level else {
        return Bounds {
            limit: count(limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT)),
            min_score: score,
            tokens,
            effort: None,
            warnings: Vec::new(),
        };
    };
    let mut clamp = Clamp::new(level);
    let limit = match limit {
        None => level.kg_statements.default,
        Some(wish) => clamp.at_most("limit", wish.max(1), level.kg_statements.most),
    };
    let score = match score {
        _ if !by_meaning => None,
        None => Some(level.kg_score),
        Some(wish) if wish < level.kg_score_floor => {
            let floor = level.kg_score_floor;
            clamp.warn(&format!(
                "clamped min_score from {} to {}",
                ag_pyvalue::float_repr(wish),
                ag_pyvalue::float_repr(floor)
            ));
            Some(floor)
        }
        wish => wish,
    };
    let tokens = match tokens {
        None => level.kg_tokens.default,
        Some(wish) => clamp.at_most("max_input_tokens", wish, level.kg_tokens.most),
    };
    let effort = clamp.effort(json!({"limit": limit, "min_score": score, "max_input_tokens": tokens}));
    Bounds {
        limit: count(limit),
        min_score: score,
        tokens: Some(tokens),
        effort: Some(effort),
        warnings: clamp.warnings,
    }
}

#[async_trait]
impl EffectHandler for KgQuery {
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
                |error| json!({"ok": false, "count": 0, "items": [], "error": error}),
            ),
        }
    }
}

/// A failure as a result, unless the store is away: then the effect happens later.
pub(super) fn refused(failure: Failure, result: impl FnOnce(String) -> Value) -> Answer {
    match failure.outage() {
        Ok(away) => Failure::Store(away).into(),
        Err(text) => Answer::done(result(text)),
    }
}
