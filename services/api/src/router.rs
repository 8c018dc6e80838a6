//! From the families' tables to a router, and what is looked up by route while serving.

use std::collections::HashMap;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::{
    ApiError, AppState, Family,
    middleware::{self, RouteMetrics},
    operation, routes,
};

/// The whole HTTP interface.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for operation in routes::FAMILIES.iter().flat_map(|family| family.operations) {
        router = router.route(operation.path, (operation.route)());
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Inner stack: the security layer, whose order of checks is the contract's (core-security §1).
        .layer(from_fn_with_state(state.clone(), middleware::guard))
        // Outer stack: CORS, panics, metrics and trace, and the task that a closed connection does not cancel.
        .layer(from_fn_with_state(state.clone(), middleware::outer))
        .with_state(state)
}

/// What is known about a path template.
pub(crate) struct Route {
    /// Value of the `Allow` header.
    allow: HeaderValue,
    metrics: HashMap<&'static str, RouteMetrics>,
}

/// All path templates.
pub(crate) struct RouteTable {
    routes: HashMap<&'static str, Route>,
    unmatched: RouteMetrics,
}

impl RouteTable {
    pub(crate) fn new(families: &'static [Family]) -> Self {
        let mut methods: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        for operation in families.iter().flat_map(|family| family.operations) {
            methods.entry(operation.path).or_default().push(operation.method);
        }
        let routes = methods.into_iter().map(|(path, methods)| {
            let metrics = methods
                .iter()
                .map(|method| (*method, RouteMetrics::new(path, method)))
                .collect();
            let allow = HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static(""));
            (path, Route { allow, metrics })
        });
        Self {
            routes: routes.collect(),
            unmatched: RouteMetrics::new("unmatched", "any"),
        }
    }

    fn find(&self, matched: Option<&MatchedPath>) -> Option<(&'static str, &Route)> {
        let (path, route) = self.routes.get_key_value(matched?.as_str())?;
        Some((path, route))
    }

    /// Metrics and label of a request's route.
    pub(crate) fn metrics(
        &self,
        matched: Option<&MatchedPath>,
        method: &Method,
    ) -> (&'static str, &RouteMetrics) {
        match self.find(matched) {
            Some((path, route)) => (
                path,
                route.metrics.get(method.as_str()).unwrap_or(&self.unmatched),
            ),
            None => ("unmatched", &self.unmatched),
        }
    }

    /// The answer to a method that the route does not have, if there is such a route. Also the answer to every
    /// `HEAD`, which the contract registers nowhere.
    pub(crate) fn refuse_method(&self, matched: Option<&MatchedPath>) -> Option<Response> {
        let (_, route) = self.find(matched)?;
        let refusal = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        Some(([(header::ALLOW, route.allow.clone())], refusal).into_response())
    }

    fn has(&self, path: &str) -> bool {
        self.routes
            .keys()
            .any(|template| operation::matches(template, path))
    }
}

async fn method_not_allowed(State(state): State<AppState>, request: Request) -> Response {
    let refusal = state
        .routes()
        .refuse_method(request.extensions().get::<MatchedPath>());
    refusal.unwrap_or_else(|| {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response()
    })
}

/// 404, or the way to the same path without its trailing slash.
async fn not_found(State(state): State<AppState>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let shorter = path
        .strip_suffix('/')
        .filter(|path| !path.is_empty() && state.routes().has(path));
    let location = shorter.and_then(|path| location(&headers, path, uri.query()));
    match location {
        Some(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => ApiError::not_found("Not Found").into_response(),
    }
}

/// Absolute, as the contract has it; relative to the host where the request names none.
fn location(headers: &HeaderMap, path: &str, query: Option<&str>) -> Option<HeaderValue> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let https = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes() == b"https");
    let scheme = if https { "https" } else { "http" };
    let base = text(header::HOST)
        .map(|host| format!("{scheme}://{host}"))
        .unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{base}{path}{query}")).ok()
}

#[cfg(test)]
mod tests;
