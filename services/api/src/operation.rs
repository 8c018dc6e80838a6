//! Operations as data: one table per family, from which the router, the OpenAPI document, the `Allow` headers, the
//! metrics' labels and the coverage test derive.

use axum::routing::MethodRouter;

use crate::AppState;

/// One HTTP operation.
pub struct Operation {
    /// Method, upper case.
    pub method: &'static str,
    /// Path template from the root, `{name}` for one segment.
    pub path: &'static str,
    /// `operationId`, unique; the handler's name.
    pub id: &'static str,
    /// One line for the document.
    pub summary: &'static str,
    /// Makes the route.
    pub route: fn() -> MethodRouter<AppState>,
}

/// Operations under one tag.
pub struct Family {
    /// OpenAPI tag.
    pub tag: &'static str,
    /// Its operations.
    pub operations: &'static [Operation],
}

/// Declares a family: `METHOD "path" handler "summary";` per operation.
///
/// ```text
/// ops! {
///     /// Runs.
///     pub const RUNS: "runs" = {
///         GET "/api/gateway/runs" list::list_runs "Lists runs.";
///     }
/// }
/// ```
macro_rules! ops {
    (
        $(#[$doc:meta])*
        $vis:vis const $name:ident: $tag:literal = {
            $($method:ident $path:literal $($handler:ident)::+ $summary:literal;)*
        }
    ) => {
        $(#[$doc])*
        $vis const $name: $crate::operation::Family = $crate::operation::Family {
            tag: $tag,
            operations: &[$($crate::operation::Operation {
                method: stringify!($method),
                path: $path,
                id: $crate::operation::last_segment(stringify!($($handler)::+)),
                summary: $summary,
                route: || axum::routing::on(axum::routing::MethodFilter::$method, $($handler)::+),
            }),*],
        };
    };
}
pub(crate) use ops;

/// `list_runs` of `list::list_runs` as `stringify!` prints it, spaces or not.
pub(crate) const fn last_segment(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b':' && bytes[start - 1] != b' ' {
        start -= 1;
    }
    path.split_at(start).1
}

/// Whether a concrete path has the form of a template.
pub(crate) fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want == have => {}
            (Some(want), Some(have)) if want.starts_with('{') && !have.is_empty() => {}
            _ => return false,
        }
    }
}
