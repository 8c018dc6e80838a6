//! Listings of one run or session, newest first.

use ag_artifacts::{SearchQuery, SearchScope, listing_response};
use axum::Json;
use serde_json::Value;

use super::{
    owner::{owner, session_owner},
    search,
};
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request, int, string},
};

/// A page of a listing.
struct Paging {
    limit: Option<i64>,
    offset: Option<u64>,
}

impl Paging {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            limit: Some(query.or("limit", int().ge(-1).le(10_000), 500)),
            offset: u64::try_from(query.or("offset", int().ge(0), 0)).ok(),
        }
    }
}

/// Whose artifacts.
pub(super) struct RunArtifacts(String, Paging);

impl Request for RunArtifacts {
    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        Self(run_id, Paging::read(reader))
    }
}

pub(super) async fn list_run_artifacts(
    ctx: CallContext,
    Input(RunArtifacts(run_id, paging)): Input<RunArtifacts>,
) -> ApiResult<Json<Value>> {
    let run_id = owner(&ctx, &run_id).await?.id;
    let query = SearchQuery::listing(SearchScope::Run { run_id }, paging.limit, paging.offset);
    search::answer(&ctx, query, listing_response).await
}

/// Whose artifacts.
pub(super) struct SessionArtifacts(String, Paging);

impl Request for SessionArtifacts {
    fn read(reader: &mut Reader) -> Self {
        let session_id = reader.path().required("session_id", string());
        Self(session_id, Paging::read(reader))
    }
}

pub(super) async fn list_session_artifacts(
    ctx: CallContext,
    Input(SessionArtifacts(session_id, paging)): Input<SessionArtifacts>,
) -> ApiResult<Json<Value>> {
    session_owner(&ctx, &session_id).await?;
    let query = SearchQuery::listing(SearchScope::session(&session_id), paging.limit, paging.offset);
    search::answer(&ctx, query, listing_response).await
}
