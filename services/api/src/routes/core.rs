//! Health, identity, and the front door.

use ag_auth::Principal;
use axum::{
    Json,
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;

use crate::{AppState, CallContext, operation::ops};

ops! {
    /// Health and identity.
    pub(super) const CORE: "core" = {
        GET "/" root "Leads to the console.";
        GET "/console" console "A page that says where the interface is described.";
        GET "/api/health" health "Tells that the server answers.";
        GET "/api/gateway/ping" ping "Tells an authenticated caller that the server answers.";
        GET "/api/gateway/me" me "Tells who the caller is.";
    }
}

const SERVICE: &str = "abstractgateway";
const HEALTHY: &str = "healthy";

async fn root() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/console")]).into_response()
}

async fn console() -> Html<&'static str> {
    Html(include_str!("core/console.html"))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    service: &'static str,
}

async fn health() -> Json<Health> {
    Json(Health {
        status: HEALTHY,
        service: SERVICE,
    })
}

#[derive(Serialize)]
struct Pong {
    ok: bool,
    status: &'static str,
    service: &'static str,
    time: ag_types::Timestamp,
}

async fn ping(ctx: CallContext) -> Json<Pong> {
    Json(Pong {
        ok: true,
        status: HEALTHY,
        service: SERVICE,
        time: ctx.now(),
    })
}

#[derive(Serialize)]
struct Me<'a> {
    ok: bool,
    principal: &'a Principal,
    auth: Auth,
    routing: Routing,
}

/// How callers prove themselves.
#[derive(Serialize)]
struct Auth {
    mode: &'static str,
    user_auth_enabled: bool,
}

/// Which data a caller works on.
#[derive(Serialize)]
struct Routing {
    mode: &'static str,
    one_user_one_runtime: bool,
}

async fn me(ctx: CallContext, State(state): State<AppState>) -> Response {
    let users = state.users_mode();
    Json(Me {
        ok: true,
        principal: ctx.principal(),
        auth: Auth {
            mode: if users { "users" } else { "legacy-token" },
            user_auth_enabled: users,
        },
        routing: Routing {
            mode: if users { "per-principal" } else { "single-user" },
            one_user_one_runtime: users,
        },
    })
    .into_response()
}
