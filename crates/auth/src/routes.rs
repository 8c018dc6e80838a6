//! The admin route table and the public routes, as data.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::MethodClass;

/// Everything below these texts is behind the security layer; the contract compares the text, not segments.
const GATED: &[&str] = &["/api/gateway", "/api/v1"];

/// The prefix that the table is relative to.
const BASE: &str = "/api/gateway";

/// Which methods a row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Methods {
    All,
    Writes,
}

/// Which paths a row covers, relative to [`BASE`]; `{}` stands for one segment.
#[derive(Debug, Clone, Copy)]
enum Paths {
    /// The path itself and everything below it.
    Family(&'static str),
    /// The path alone.
    Exactly(&'static str),
}

/// Rows of `core-security.md` section 4.
const ADMIN_ROUTES: &[(&str, Paths, Methods)] = &[
    ("admin", Paths::Family("/admin"), Methods::All),
    ("audit", Paths::Family("/audit"), Methods::All),
    ("processes", Paths::Family("/processes"), Methods::All),
    ("backlog", Paths::Family("/backlog"), Methods::All),
    ("triage", Paths::Family("/triage"), Methods::All),
    ("reports", Paths::Family("/reports"), Methods::All),
    ("email", Paths::Family("/email"), Methods::All),
    ("host", Paths::Family("/host"), Methods::All),
    ("models", Paths::Exactly("/models/loaded"), Methods::All),
    ("models", Paths::Exactly("/models/load"), Methods::All),
    ("models", Paths::Exactly("/models/unload"), Methods::All),
    ("workspace", Paths::Family("/files"), Methods::All),
    ("workspace", Paths::Exactly("/artifacts/import"), Methods::All),
    ("workspace", Paths::Exactly("/attachments/ingest"), Methods::All),
    (
        "workspace",
        Paths::Exactly("/runs/{}/artifacts/{}/export"),
        Methods::All,
    ),
    ("blocs", Paths::Family("/blocs"), Methods::Writes),
    ("prompt_cache", Paths::Family("/prompt_cache"), Methods::Writes),
];

/// A route that answers without authentication.
#[derive(Debug, Clone, Copy)]
pub struct PublicRoute {
    /// Method.
    pub method: &'static str,
    /// Path template.
    pub path: &'static str,
    /// Why it may.
    pub reason: &'static str,
}

const fn public(method: &'static str, path: &'static str, reason: &'static str) -> PublicRoute {
    PublicRoute { method, path, reason }
}

/// All routes that answer without authentication.
pub const PUBLIC_ROUTES: &[PublicRoute] = &[
    public("GET", "/", "redirects to the console"),
    public("GET", "/console", "a static page that signs in by itself"),
    public("GET", "/docs", "describes the interface"),
    public("GET", "/redoc", "describes the interface"),
    public("GET", "/openapi.json", "describes the interface"),
    public("GET", "/api/health", "load balancers have no token"),
    public(
        "POST",
        "/api/gateway/session/login",
        "is how a token becomes a session",
    ),
    public(
        "GET",
        "/api/triage/action/{token}",
        "the link carries a signature",
    ),
    public(
        "POST",
        "/api/triage/action/{token}",
        "the link carries a signature",
    ),
];

/// What an admin route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// GET, HEAD and methods that no route serves.
    Read,
    /// POST, PUT, PATCH, DELETE.
    Write,
}

/// What an admin route guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AdminRoute {
    /// Name of the row.
    pub resource_class: &'static str,
    /// What the request does.
    pub action: Action,
}

/// Whether the security layer acts on this path.
#[must_use]
pub fn is_gated(path: &str) -> bool {
    spellings(path).any(|path| GATED.iter().any(|prefix| path.starts_with(prefix)))
}

/// The admin row that a request falls under, if any.
#[must_use]
pub fn admin_route(method: &str, path: &str) -> Option<AdminRoute> {
    let class = MethodClass::of(method);
    let action = if class == MethodClass::Write {
        Action::Write
    } else {
        Action::Read
    };
    spellings(path).find_map(|path| {
        let path = path.strip_prefix(BASE)?.trim_end_matches('/');
        let (resource_class, ..) = ADMIN_ROUTES.iter().find(|(_, paths, methods)| {
            (*methods == Methods::All || action == Action::Write) && paths.cover(path)
        })?;
        Some(AdminRoute {
            resource_class,
            action,
        })
    })
}

/// The path as sent and decoded: whichever of both the router goes by, the rule has seen it.
fn spellings(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let decoded = path
        .contains('%')
        .then(|| percent_decode_str(path).decode_utf8_lossy());
    std::iter::once(Cow::Borrowed(path)).chain(decoded)
}

impl Paths {
    fn cover(self, path: &str) -> bool {
        match self {
            Self::Family(root) => path
                .strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Exactly(template) => {
                let (mut segments, mut wanted) = (path.split('/'), template.split('/'));
                loop {
                    match (segments.next(), wanted.next()) {
                        (None, None) => return true,
                        (Some(segment), Some(want)) if want == segment => {}
                        (Some(segment), Some("{}")) if !segment.is_empty() => {}
                        _ => return false,
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_table() {
        type Case<'a> = (&'a str, &'a str, Option<(&'a str, Action)>);
        let cases: &[Case<'_>] = &[
            ("GET", "/admin", Some(("admin", Action::Read))),
            ("GET", "/admin/", Some(("admin", Action::Read))),
            ("POST", "/admin/users", Some(("admin", Action::Write))),
            ("OPTIONS", "/admin/users", Some(("admin", Action::Read))),
            ("GET", "/adminx", None),
            ("GET", "/audit/tail", Some(("audit", Action::Read))),
            ("GET", "/processes", Some(("processes", Action::Read))),
            ("PATCH", "/backlog/planned/x", Some(("backlog", Action::Write))),
            ("POST", "/triage/run", Some(("triage", Action::Write))),
            ("GET", "/reports/bugs", Some(("reports", Action::Read))),
            ("GET", "/email/accounts", Some(("email", Action::Read))),
            ("GET", "/host/metrics/gpu", Some(("host", Action::Read))),
            ("GET", "/models/loaded", Some(("models", Action::Read))),
            ("POST", "/models/load", Some(("models", Action::Write))),
            ("POST", "/models/unload/", Some(("models", Action::Write))),
            ("GET", "/models", None),
            ("GET", "/models/loaded/x", None),
            ("GET", "/files/read", Some(("workspace", Action::Read))),
            ("POST", "/artifacts/import", Some(("workspace", Action::Write))),
            ("GET", "/artifacts/search", None),
            ("POST", "/attachments/ingest", Some(("workspace", Action::Write))),
            ("POST", "/attachments/upload", None),
            (
                "POST",
                "/runs/r1/artifacts/a1/export",
                Some(("workspace", Action::Write)),
            ),
            ("POST", "/runs//artifacts/a1/export", None),
            ("GET", "/runs/r1/artifacts/a1", None),
            ("GET", "/runs/r1/artifacts/a1/export/x", None),
            ("GET", "/blocs", None),
            ("DELETE", "/blocs/b1", Some(("blocs", Action::Write))),
            ("HEAD", "/prompt_cache/stats", None),
            ("PUT", "/prompt_cache/x", Some(("prompt_cache", Action::Write))),
            ("POST", "/bundles/upload", None),
            ("POST", "/bugs/report", None),
            ("GET", "/runs", None),
            // Decoded spellings.
            ("GET", "/%61dmin/users", Some(("admin", Action::Read))),
            ("GET", "/admin%2Fusers", Some(("admin", Action::Read))),
            (
                "POST",
                "/runs/a%2Fb/artifacts/a1/export",
                Some(("workspace", Action::Write)),
            ),
            ("GET", "/runs/%ff", None),
        ];
        for (method, path, expected) in cases {
            let found = admin_route(method, &format!("/api/gateway{path}"));
            assert_eq!(
                found.map(|found| (found.resource_class, found.action)),
                *expected,
                "{method} {path}"
            );
        }
        assert_eq!(admin_route("GET", "/admin"), None);
        assert_eq!(admin_route("GET", "/api/health"), None);
    }

    #[test]
    fn gated_paths() {
        for (path, expected) in [
            ("/api/gateway", true),
            ("/api/gateway/runs", true),
            ("/api/gatewayx", true),
            ("/api/%67ateway/runs", true),
            ("/api/v1/commands/c1", true),
            ("/api/health", false),
            ("/api/triage/action/t", false),
            ("/console", false),
            ("/", false),
        ] {
            assert_eq!(is_gated(path), expected, "{path}");
        }
    }

    #[test]
    fn public_routes_are_open_and_no_admin_routes() {
        for route in PUBLIC_ROUTES {
            let open = !is_gated(route.path)
                || crate::AccessSettings::default().need(route.method, route.path, false)
                    == crate::AuthNeed::Anonymous;
            assert!(open, "{route:?}");
            assert_eq!(admin_route(route.method, route.path), None, "{route:?}");
            assert!(!route.reason.is_empty());
        }
    }
}
