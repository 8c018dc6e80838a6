//! The listener for operators: probes and metrics, without authentication and not routed from outside. API nodes and
//! runners have the same one.

use std::{io, sync::Arc};

use ag_telemetry::metrics::Metrics;
use async_trait::async_trait;
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

/// Whether a process should get work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Yes: a broker is away and the process uses its own means.
    Degraded,
    /// No: it leaves.
    Draining,
    /// No: something that it needs is missing, in a word or two.
    Unready(&'static str),
}

/// A process that can say whether it is ready.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Looks now.
    async fn readiness(&self) -> Readiness;
}

/// What the listener shows.
#[derive(Clone)]
pub struct Ops {
    /// Recorded metrics, if this process records them.
    pub metrics: Option<Metrics>,
    /// Who answers for readiness.
    pub probe: Arc<dyn Probe>,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` until `shutdown` fires. It should outlive the process's work,
/// so that a draining process says so.
///
/// # Errors
/// When the listener fails.
pub async fn serve_ops(ops: Ops, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    axum::serve(listener, ops_router(ops))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

pub(crate) fn ops_router(ops: Ops) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process schedules tasks; nothing outside is looked at.
async fn live() -> axum::Json<Health> {
    axum::Json(Health { status: "live" })
}

/// The database answers with this program's schema. Brokers away: degraded, and still ready.
async fn ready(State(ops): State<Ops>) -> Response {
    let (code, status) = match ops.probe.readiness().await {
        Readiness::Ready => (StatusCode::OK, "ready"),
        Readiness::Degraded => (StatusCode::OK, "degraded"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Readiness::Unready(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    (code, axum::Json(Health { status })).into_response()
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match &ops.metrics {
        Some(metrics) => {
            let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (content_type, metrics.render()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
