//! JSON that exists as text already.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

/// A JSON document as text; sent as it is.
#[derive(Debug, Clone)]
pub(crate) struct JsonText(pub(crate) String);

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([content_type], self.0).into_response()
    }
}
