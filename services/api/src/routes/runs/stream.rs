//! `GET /runs/{run_id}/ledger/stream`.

use std::{convert::Infallible, time::Duration};

use ag_types::RunId;
use axum::{
    Extension,
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::lookup;
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{Reader, float, int, string},
    middleware::StreamPlace,
    stream::{Follow, FollowOptions, ended},
};

/// What to follow.
pub(super) struct StreamLedger {
    run_id: String,
    after: i64,
    heartbeat_s: f64,
}

impl Request for StreamLedger {
    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut query = reader.query();
        Self {
            run_id,
            after: query.or("after", int().ge(0), 0),
            heartbeat_s: query.or("heartbeat_s", float().gt(0.1).le(60.0), 5.0),
        }
    }
}

/// Replays the ledger after the cursor, then follows it to the run's end.
pub(super) async fn stream_ledger(
    ctx: CallContext,
    headers: HeaderMap,
    place: Option<Extension<StreamPlace>>,
    Input(asked): Input<StreamLedger>,
) -> ApiResult<Response> {
    // A browser that reconnects repeats its first URL and says here how far it came (difference X4).
    let seen = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.trim().parse::<i64>().ok());
    let after = seen.map_or(asked.after, |seen| seen.max(asked.after));
    let Ok(run) = asked.run_id.parse::<RunId>() else {
        let owner = lookup::owner(&ctx, &asked.run_id).await?;
        let owner = owner.ok_or_else(|| ApiError::no_run(&asked.run_id))?;
        let frames = Bytes::from(ended(&owner.owner_id, after));
        return Ok(events(Body::from(frames)));
    };
    let options = FollowOptions {
        scope: ctx.scope().clone(),
        run,
        after,
        heartbeat: Duration::from_secs_f64(asked.heartbeat_s),
        place: place.map(|Extension(place)| place),
    };
    let follow = Follow::open(ctx.streams(), options)
        .await?
        .ok_or_else(|| ApiError::no_run(&asked.run_id))?;
    Ok(events(Body::from_stream(follow.into_stream::<Infallible>())))
}

fn events(body: Body) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer would hold frames back.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}
