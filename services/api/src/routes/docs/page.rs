//! The pages. One self-contained file; the policy allows exactly its own style and script, and no other host.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, header};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("../../../assets/docs.html");

/// Which of the two pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// With forms.
    Try,
    /// For reading.
    Read,
}

struct Pages {
    with_forms: Bytes,
    for_reading: Bytes,
    policy: HeaderValue,
}

static PAGES: LazyLock<Pages> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(inside("script")),
        hash(inside("style")),
    );
    Pages {
        with_forms: Bytes::from_static(PAGE.as_bytes()),
        for_reading: Bytes::from(PAGE.replacen("data-view=\"try\"", "data-view=\"read\"", 1)),
        policy: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
    }
});

/// The page with its headers.
pub(super) fn response(view: View) -> Response {
    let pages = &*PAGES;
    let body = match view {
        View::Try => &pages.with_forms,
        View::Read => &pages.for_reading,
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, pages.policy.clone()),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, body.clone()).into_response()
}

/// The text of the page's only element of that name.
fn inside(element: &str) -> &'static str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let after = PAGE.split_once(open.as_str()).map(|(_, after)| after);
    after
        .and_then(|after| after.split_once(close.as_str()))
        .map(|(inside, _)| inside)
        .unwrap_or_default()
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nobody_else() {
        assert!(inside("script").contains("openapi.json") && inside("style").contains("body"));
        for outside in [
            "http://",
            "https://",
            " src=",
            "@import",
            "url(",
            " style=",
            " onclick",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert_eq!(PAGE.matches("data-view=\"try\"").count(), 1);
    }
}
