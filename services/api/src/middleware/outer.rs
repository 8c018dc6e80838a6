//! What every answer needs, whatever the security layer says.

use std::{panic::AssertUnwindSafe, sync::OnceLock, time::Instant};

use ag_auth::{MethodClass, cors};
use ag_telemetry::{
    metrics::{HTTP_DURATION, HTTP_IN_FLIGHT, HTTP_REQUESTS, status_class},
    traces,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tracing::Instrument;

use crate::AppState;

/// Metric handles of a route, made at its first request.
pub(crate) struct RouteMetrics {
    path: &'static str,
    method: &'static str,
    handles: OnceLock<(metrics::Histogram, [metrics::Counter; 6])>,
}

impl RouteMetrics {
    pub(crate) fn new(path: &'static str, method: &'static str) -> Self {
        Self {
            path,
            method,
            handles: OnceLock::new(),
        }
    }

    fn record(&self, status: StatusCode, since: Instant) {
        let (duration, answers) = self.handles.get_or_init(|| {
            let class = |n: usize| {
                let status = u16::try_from(n * 100).unwrap_or_default();
                HTTP_REQUESTS.with([self.path, self.method, status_class(status)])
            };
            (
                HTTP_DURATION.with([self.path, self.method]),
                std::array::from_fn(class),
            )
        });
        duration.record(since.elapsed().as_secs_f64());
        if let Some(answers) = answers.get(usize::from(status.as_u16() / 100)) {
            answers.increment(1);
        }
    }
}

/// Counts a request while it is served.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn new() -> Self {
        static GAUGE: OnceLock<metrics::Gauge> = OnceLock::new();
        let gauge = GAUGE.get_or_init(|| HTTP_IN_FLIGHT.with([])).clone();
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// CORS, metrics, trace, panics; and writes run as tasks of their own, so that a closed connection cancels none.
pub(crate) async fn outer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Some(answer) = preflight(&request) {
        return answer;
    }
    let _in_flight = InFlight::new();
    let matched = request.extensions().get::<MatchedPath>();
    let (path, metrics) = state.routes().metrics(matched, request.method());
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{} {path}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = path,
        request.id = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty,
    );
    if let Some(traceparent) = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
    {
        traces::continue_from(&span, traceparent);
    }
    let is_write = MethodClass::of(request.method().as_str()) == MethodClass::Write;
    let serve = next.run(request).instrument(span.clone());
    let served = if is_write {
        state.tasks().spawn(serve).await.ok()
    } else {
        AssertUnwindSafe(serve).catch_unwind().await.ok()
    };
    let Some(mut response) = served else {
        span.in_scope(|| tracing::error!("a handler panicked"));
        metrics.record(StatusCode::INTERNAL_SERVER_ERROR, since);
        return crashed();
    };
    if let Some(origin) = origin.as_ref().and_then(|origin| origin.to_str().ok()) {
        insert_all(response.headers_mut(), cors::response_headers(origin));
    }
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    metrics.record(response.status(), since);
    response
}

/// The answer to an unhandled failure: no id, no CORS, and the connection is not used again.
fn crashed() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONNECTION, "close"),
    ];
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        headers,
        "Internal Server Error",
    )
        .into_response()
}

fn preflight(request: &Request) -> Option<Response> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let origin = header(header::ORIGIN);
    let method = header(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !cors::is_preflight(request.method().as_str(), origin, method) {
        return None;
    }
    let answer = cors::preflight(origin?, method?, header(header::ACCESS_CONTROL_REQUEST_HEADERS));
    let status = StatusCode::from_u16(answer.status).ok()?;
    let content_type = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (status, content_type, answer.body).into_response();
    insert_all(response.headers_mut(), answer.headers);
    Some(response)
}

/// Sets headers; a value that is none is left out.
pub(super) fn insert_all(headers: &mut HeaderMap, all: Vec<cors::Header>) {
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
