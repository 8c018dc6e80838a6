//! The description of this interface: `/openapi.json`, and two pages that show it.

mod document;
mod page;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::operation::ops;

ops! {
    /// The description of this interface.
    pub(super) const DOCS: "docs" = {
        GET "/openapi.json" get_openapi_document "Describes this interface (OpenAPI 3.1).";
        GET "/docs" show_docs "Shows the description, with forms to try operations.";
        GET "/redoc" show_reference "Shows the description for reading.";
    }
}

async fn get_openapi_document() -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, document::BYTES.clone()).into_response()
}

async fn show_docs() -> Response {
    page::response(page::View::Try)
}

async fn show_reference() -> Response {
    page::response(page::View::Read)
}
