//! Search and statistics. The store narrows to a scope; everything else is decided on the metadata documents.

use ag_artifacts::{
    ArtifactMeta, RawSearch, SearchError, SearchQuery, SearchScope, search_response, stats_response,
};
use ag_store::{ArtifactFilter, ArtifactRow};
use axum::Json;
use serde_json::Value;

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Fields, Reader, Request, boolean, int, string},
    routes::blocking::blocking,
};

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// What both operations filter by.
fn filters(query: &mut Fields<'_>) -> RawSearch {
    RawSearch {
        scope: Some(query.or("scope", string(), "all".to_owned())),
        session_id: query.optional("session_id", string()),
        run_id: query.optional("run_id", string()),
        modality: query.optional("modality", string()),
        semantic_kind: query.optional("semantic_kind", string()),
        render_kind: query.optional("render_kind", string()),
        workflow_id: query.optional("workflow_id", string()),
        node_id: query.optional("node_id", string()),
        content_type: query.optional("content_type", string()),
        query: query.optional("query", string()),
        tags: query.optional("tags", string()),
        created_after: query.optional("created_after", string()),
        created_before: query.optional("created_before", string()),
        ..RawSearch::default()
    }
}

/// Query of a search.
pub(super) struct SearchArtifacts(RawSearch);

impl Request for SearchArtifacts {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self(RawSearch {
            artifact_kind: query.optional("artifact_kind", string()),
            limit: Some(query.or("limit", int().ge(-1).le(10_000), 500)),
            offset: u64::try_from(query.or("offset", int().ge(0), 0)).ok(),
            cursor: query.optional("cursor", string()),
            order_by: query.optional("order_by", string()),
            order: query.optional("order", string()),
            include_stats: query.or("include_stats", boolean(), false),
            debug_unlimited: query.or("debug_unlimited", boolean(), false),
            ..filters(&mut query)
        })
    }
}

pub(super) async fn search_artifacts(
    ctx: CallContext,
    Input(SearchArtifacts(raw)): Input<SearchArtifacts>,
) -> ApiResult<Json<Value>> {
    if raw.debug_unlimited {
        ctx.require_admin()?;
    }
    answer(&ctx, SearchQuery::parse(raw)?, search_response).await
}

/// Query of the statistics.
pub(super) struct ArtifactStats(RawSearch);

impl Request for ArtifactStats {
    fn read(reader: &mut Reader) -> Self {
        Self(filters(&mut reader.query()))
    }
}

pub(super) async fn artifact_stats(
    ctx: CallContext,
    Input(ArtifactStats(raw)): Input<ArtifactStats>,
) -> ApiResult<Json<Value>> {
    answer(&ctx, SearchQuery::parse(raw)?, stats_response).await
}

/// Reads the documents of the query's scope and lets `respond` arrange them.
pub(super) async fn answer(
    ctx: &CallContext,
    query: SearchQuery,
    respond: fn(&[ArtifactMeta], &SearchQuery) -> Value,
) -> ApiResult<Json<Value>> {
    let named = match &query.scope {
        SearchScope::All => None,
        SearchScope::Run { run_id } => Some(run_id),
        SearchScope::Session { session_id, .. } => Some(session_id),
    };
    if named.is_some_and(|id| id.contains('\0')) {
        return Err(ApiError::bad_request("ids must not contain NUL"));
    }
    let filter = match &query.scope {
        SearchScope::All => ArtifactFilter::default(),
        SearchScope::Run { run_id } => ArtifactFilter {
            run_ids: vec![run_id.clone()],
            ..ArtifactFilter::default()
        },
        SearchScope::Session {
            session_id,
            memory_run_id,
        } => ArtifactFilter {
            run_ids: vec![memory_run_id.clone()],
            or_session_id: Some(session_id.clone()),
            ..ArtifactFilter::default()
        },
    };
    let rows = ctx.store().artifacts(ctx.scope(), filter).await?;
    let answer = blocking(move || {
        let metas: Vec<ArtifactMeta> = rows.iter().filter_map(meta).collect();
        respond(&metas, &query)
    });
    Ok(Json(answer.await?))
}

/// The document of a row; a damaged one is left out of lists.
pub(super) fn meta(row: &ArtifactRow) -> Option<ArtifactMeta> {
    let meta = serde_json::from_str(&row.meta);
    if let Err(error) = &meta {
        tracing::warn!(artifact = row.artifact_id, error = %error, "skipping an unreadable artifact");
    }
    meta.ok()
}
