//! `POST /kg/query`: the statements that workflows have asserted, read only.

use ag_artifacts::session_memory_run_id;
use ag_effects::memory::kg::{KgSearch, QueryVector, SearchError, predicate_term, query_term};
use ag_store::{AssertionFilter, AssertionOrder};
use ag_types::RunId;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::embeddings::embeddings;
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, boolean, float, int, string},
};

const SCOPES: [&str; 4] = ["run", "session", "global", "all"];
/// What clients see of where statements lie; no path of the host.
const PATH: &str = "database";

/// What to look for.
pub(super) struct KgQuery {
    run_id: Option<String>,
    session_id: Option<String>,
    scope: String,
    owner_id: Option<String>,
    subject: Option<String>,
    predicate: Option<String>,
    object: Option<String>,
    since: Option<String>,
    until: Option<String>,
    active_at: Option<String>,
    query_text: Option<String>,
    min_score: Option<f64>,
    all_owners: bool,
    limit: i64,
    order: String,
}

impl Request for KgQuery {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        let mut text = |name: &'static str| {
            let given: Option<String> = body.optional(name, string());
            given
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let (run_id, session_id) = (text("run_id"), text("session_id"));
        let scope = text("scope")
            .unwrap_or_else(|| "session".to_owned())
            .to_lowercase();
        let owner_id = text("owner_id");
        let (subject, predicate, object) = (text("subject"), text("predicate"), text("object"));
        let (since, until, active_at) = (text("since"), text("until"), text("active_at"));
        let query_text = text("query_text");
        Self {
            run_id,
            session_id,
            scope,
            owner_id,
            subject,
            predicate,
            object,
            since,
            until,
            active_at,
            query_text,
            min_score: body.optional("min_score", float()),
            all_owners: body.or("all_owners", boolean(), false),
            limit: body.or("limit", int().ge(-1).le(10_000), 500),
            order: body.or("order", string(), "desc".to_owned()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct KgAnswer {
    ok: bool,
    scope: String,
    owner_id: Option<String>,
    count: usize,
    items: Vec<Value>,
    warnings: Option<Vec<String>>,
    store: Value,
}

/// A scope and its owner; `None` is any.
type Target = (Option<&'static str>, Option<String>);

pub(super) async fn query_kg(ctx: CallContext, Input(request): Input<KgQuery>) -> ApiResult<Json<KgAnswer>> {
    let embedder = match embeddings(&ctx) {
        Some(embeddings) => embeddings
            .model(ctx.scope())
            .await?
            .is_some()
            .then_some(embeddings),
        None => None,
    };
    let store = about_store(&ctx, embedder.is_some());
    let answer = |owner_id, items: Vec<Value>, warnings: Vec<String>| {
        Ok(Json(KgAnswer {
            ok: true,
            scope: request.scope.clone(),
            owner_id,
            count: items.len(),
            items,
            warnings: (!warnings.is_empty()).then_some(warnings),
            store: store.clone(),
        }))
    };
    if !ctx.store().has_assertions(ctx.scope()).await? {
        let warning = format!("KG store does not exist at {PATH} (no persisted assertions yet).");
        return answer(None, vec![], vec![warning]);
    }
    let mut warnings = Vec::new();
    let targets = targets(&ctx, &request, &mut warnings).await?;
    let order = match request.order.trim().eq_ignore_ascii_case("asc") {
        true => AssertionOrder::OldestFirst,
        false => AssertionOrder::NewestFirst,
    };
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let mut search = search(&request, order, limit);
    let vector = match (&search.query_text, embedder) {
        (None, _) => None,
        (Some(_), None) => return Err(no_meaning(&ctx)),
        (Some(_), Some(embeddings)) => {
            match search
                .vector(&embeddings, ctx.scope(), &CancellationToken::new())
                .await
            {
                Ok(vector) => vector,
                Err(SearchError::NoEmbedder) => return Err(no_meaning(&ctx)),
                Err(SearchError::Store(error)) => return Err(error.into()),
                Err(SearchError::Embedding(error)) => {
                    warnings.push(error.to_string());
                    return answer(single_owner(&targets), vec![], warnings);
                }
            }
        }
    };
    let mut items = run(&ctx, &mut search, &targets, vector.as_ref()).await?;
    // By time also where they were found by meaning: clients draw them on a time line.
    ag_effects::memory::kg::sort_by_time(&mut items, order);
    if limit > 0 {
        items.truncate(limit);
    }
    answer(single_owner(&targets), items, warnings)
}

fn search(request: &KgQuery, order: AssertionOrder, limit: usize) -> KgSearch {
    KgSearch {
        filter: AssertionFilter {
            subject: request.subject.as_deref().map(query_term),
            predicate: request.predicate.as_deref().map(predicate_term),
            object: request.object.as_deref().map(query_term),
            since: request.since.clone(),
            until: request.until.clone(),
            active_at: request.active_at.clone(),
            ..AssertionFilter::default()
        },
        query_text: request.query_text.clone(),
        min_score: request.min_score,
        order,
        limit,
    }
}

async fn run(
    ctx: &CallContext,
    search: &mut KgSearch,
    targets: &[Target],
    vector: Option<&QueryVector>,
) -> ApiResult<Vec<Value>> {
    let mut items = Vec::new();
    for (scope, owner) in targets {
        search.filter.scope = scope.map(str::to_owned);
        search.filter.owner_id.clone_from(owner);
        let found = search.run(ctx.store(), ctx.scope(), vector).await;
        items.extend(found.map_err(|error| match error {
            SearchError::Store(error) => ApiError::from(error),
            error => ctx.failed("the knowledge graph is not readable", &error),
        })?);
    }
    Ok(items)
}

fn single_owner(targets: &[Target]) -> Option<String> {
    match targets {
        [(_, owner)] => owner.clone(),
        _ => None,
    }
}

fn no_meaning(ctx: &CallContext) -> ApiError {
    let backend = backend(ctx);
    ApiError::bad_request(format!(
        "Semantic KG query is not available for memory backend '{backend}'. Use a vector-capable backend with the \
         execution-host embedding.text route configured, or omit query_text."
    ))
}

fn backend(ctx: &CallContext) -> &'static str {
    match ctx.state().config().store.backend {
        Some(ag_config::StoreBackend::Postgres) => "postgres",
        _ => "sqlite",
    }
}

fn about_store(ctx: &CallContext, embedder: bool) -> Value {
    json!({
        "backend": backend(ctx), "path": PATH, "require_vector": false,
        "capabilities": {
            "persistent": true, "structured_query": true, "vector_capable": true, "semantic_query": embedder,
            "query_vector": true, "embedder_configured": embedder,
        },
        "warnings": [],
    })
}

/// Whose statements are meant.
async fn targets(ctx: &CallContext, request: &KgQuery, warnings: &mut Vec<String>) -> ApiResult<Vec<Target>> {
    let Some(scope) = SCOPES.into_iter().find(|scope| *scope == request.scope) else {
        return Err(ApiError::bad_request(
            "scope must be one of run|session|global|all",
        ));
    };
    if request.all_owners && request.owner_id.is_some() {
        return Err(ApiError::bad_request(
            "all_owners cannot be combined with owner_id",
        ));
    }
    if scope == "all" && request.owner_id.is_some() {
        return Err(ApiError::bad_request("owner_id is not supported when scope=all"));
    }
    let one = |owner: String| Ok(vec![(Some(scope), Some(owner))]);
    if request.all_owners {
        return Ok(vec![((scope != "all").then_some(scope), None)]);
    }
    if let Some(owner) = &request.owner_id {
        return one(owner.clone());
    }
    let missing = |text: &'static str| ApiError::bad_request(text);
    let global = || ctx.state().config().execution.global_memory_run_id.clone();
    match scope {
        "global" => one(global()),
        "run" => {
            let run = request.run_id.clone();
            one(run.ok_or_else(|| missing("run_id is required for scope=run (or provide owner_id)"))?)
        }
        "session" => match (&request.session_id, &request.run_id) {
            (Some(session), _) => one(session_memory_run_id(session)),
            (None, Some(run)) => {
                let session = session_of(ctx, run).await?.ok_or_else(|| ApiError::no_run(run))?;
                one(session)
            }
            (None, None) => Err(missing(
                "run_id or session_id is required for scope=session (or provide owner_id)",
            )),
        },
        _ => all(ctx, request, global(), warnings).await,
    }
}

async fn all(
    ctx: &CallContext,
    request: &KgQuery,
    global: String,
    warnings: &mut Vec<String>,
) -> ApiResult<Vec<Target>> {
    let session = request.session_id.as_deref().map(session_memory_run_id);
    let mut targets: Vec<Target> = Vec::new();
    let found = match &request.run_id {
        Some(run) => match session_of(ctx, run).await? {
            Some(of_run) => {
                targets.push((Some("run"), Some(run.clone())));
                Some(of_run)
            }
            None => {
                let Some(id) = &request.session_id else {
                    return Err(ApiError::no_run(run));
                };
                warnings.push(format!(
                    "Run '{run}' not found; querying session+global only for session_id='{id}'"
                ));
                None
            }
        },
        None => None,
    };
    let Some(session) = found.or(session) else {
        return Err(ApiError::bad_request(
            "run_id or session_id is required when scope=all (or set all_owners=true)",
        ));
    };
    if targets.is_empty() {
        warnings.push("run scope omitted (no run_id available)".to_owned());
    }
    targets.push((Some("session"), Some(session)));
    targets.push((Some("global"), Some(global)));
    Ok(targets)
}

/// The owner of a run's session memory; `None` where there is no such run.
async fn session_of(ctx: &CallContext, run_id: &str) -> ApiResult<Option<String>> {
    let Ok(id) = run_id.parse::<RunId>() else {
        return Ok(None);
    };
    let Some(row) = ctx.store().run(ctx.scope(), id).await? else {
        return Ok(None);
    };
    let session = row
        .head
        .session_id
        .as_deref()
        .filter(|session| !session.trim().is_empty());
    Ok(Some(
        session.map_or_else(|| run_id.to_owned(), session_memory_run_id),
    ))
}
