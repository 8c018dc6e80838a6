//! The listener for operators: probes and metrics, without authentication and not routed from outside.

use std::{convert::Infallible, io};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::AppState;

/// Serves `/metrics`, `/health/live` and `/health/ready` until `shutdown` fires. It should outlive the API's
/// listener, so that a draining node says so.
///
/// # Errors
/// When the listener fails.
pub async fn serve_ops(
    state: AppState,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, ops_router(state))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

pub(crate) fn ops_router(state: AppState) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process schedules tasks; nothing outside is looked at.
async fn live() -> Result<axum::Json<Health>, Infallible> {
    Ok(axum::Json(Health { status: "live" }))
}

/// The database answers. Brokers away: degraded, and still ready.
async fn ready(State(state): State<AppState>) -> Response {
    let (code, status) = if state.draining().is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else {
        match state.health().await {
            Ok(true) => (StatusCode::OK, "ready"),
            Ok(false) => (StatusCode::OK, "degraded"),
            Err(error) => {
                tracing::warn!(error = %error, "not ready");
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        }
    };
    (code, axum::Json(Health { status })).into_response()
}

async fn metrics(State(state): State<AppState>) -> Response {
    match state.metrics() {
        Some(metrics) => {
            let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (content_type, metrics.render()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
