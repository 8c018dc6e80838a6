//! From failures to the wire shapes of the contract (README, "Error shapes"). Handlers never build statuses by hand.

mod convert;
pub(crate) use convert::status_of;

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::input::Issue;

/// Result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    body: Body,
    retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Body {
    /// `{"detail": text}`.
    Detail(Cow<'static, str>),
    /// `{"detail": text, …}` with further keys, or a structured `detail`.
    Object(Map<String, Value>),
    /// `{"detail": [issue, …]}`.
    Issues(Vec<Issue>),
}

impl ApiError {
    /// `{"detail": text}` with this status.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            body: Body::Detail(detail.into()),
            retry_after_s: None,
        }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 501.
    pub fn not_implemented(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, detail)
    }

    /// 503 that says when to try again.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// 500 without details: they belong to the log, where `what` and `error` go under the request's span.
    pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %error, "{what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// 422 with every failing field.
    pub fn invalid(issues: Vec<Issue>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            body: Body::Issues(issues),
            retry_after_s: None,
        }
    }

    /// The contract's answer for a run that does not exist or belongs to somebody else.
    pub fn no_run(run_id: &str) -> Self {
        Self::not_found(format!("Run '{run_id}' not found"))
    }

    /// Adds a key beside `detail`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let mut object = match self.body {
            Body::Object(object) => object,
            Body::Detail(detail) => Map::from_iter([("detail".to_owned(), Value::from(detail.into_owned()))]),
            Body::Issues(issues) => Map::from_iter([("detail".to_owned(), json!(issues))]),
        };
        object.insert(key.to_owned(), value.into());
        self.body = Body::Object(object);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        match &self.body {
            Body::Detail(detail) => json!({"detail": detail}),
            Body::Object(object) => Value::Object(object.clone()),
            Body::Issues(issues) => json!({"detail": issues}),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
