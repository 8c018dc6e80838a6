//! The refusals of the security layer, word for word as the contract has them.

use serde_json::{Value, json};

use crate::{AdminRoute, cors::Header};

/// Why the security layer answers a request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The `Origin` header names an origin that may not call.
    OriginNotAllowed,
    /// Too many failed attempts.
    LockedOut {
        /// Whole seconds until the next try.
        retry_after_s: u64,
    },
    /// Authentication is needed and nobody could get in.
    NoTokenConfigured,
    /// No credential, or one that proves nothing.
    Unauthorized,
    /// A write through a browser session without its CSRF token.
    CsrfRequired,
    /// The route is for admins.
    AdminRequired(AdminRoute),
    /// The body is too large.
    TooLarge {
        /// Bytes announced or read.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Too many requests or streams at a time.
    ConcurrencyLimit,
    /// Too many requests in a minute.
    RateLimited {
        /// Whole seconds until the window ends.
        retry_after_s: u64,
    },
}

impl Refusal {
    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::OriginNotAllowed | Self::CsrfRequired | Self::AdminRequired(_) => 403,
            Self::LockedOut { .. } | Self::ConcurrencyLimit | Self::RateLimited { .. } => 429,
            Self::NoTokenConfigured => 503,
            Self::Unauthorized => 401,
            Self::TooLarge { .. } => 413,
        }
    }

    /// JSON body.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::OriginNotAllowed => detail("Forbidden (origin not allowed)"),
            Self::LockedOut { .. } => detail("Too Many Requests (auth lockout)"),
            Self::NoTokenConfigured => detail("Gateway auth required but no token configured"),
            Self::Unauthorized => detail("Unauthorized"),
            Self::CsrfRequired => json!({
                "detail": "Gateway browser session CSRF token missing or invalid",
                "reason_code": "csrf_required",
            }),
            Self::AdminRequired(route) => json!({
                "detail": "Admin principal required",
                "reason_code": "admin_required",
                "required_role": "admin",
                "resource_class": route.resource_class,
                "action": route.action,
            }),
            Self::TooLarge { bytes, limit } => {
                detail(&format!("Payload Too Large ({bytes} bytes > {limit} bytes)"))
            }
            Self::ConcurrencyLimit => detail("Too Many Requests (concurrency limit)"),
            Self::RateLimited { .. } => detail("Too Many Requests (rate limit)"),
        }
    }

    /// Headers beside the content type.
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        match self {
            Self::LockedOut { retry_after_s } | Self::RateLimited { retry_after_s } => {
                vec![("retry-after", retry_after_s.to_string())]
            }
            Self::ConcurrencyLimit => vec![("retry-after", "1".to_owned())],
            Self::Unauthorized => vec![("www-authenticate", "Bearer".to_owned())],
            _ => Vec::new(),
        }
    }
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_route;

    #[test]
    fn contract_texts() {
        let route = admin_route("POST", "/api/gateway/admin/users").expect("admin route");
        let cases = [
            (
                Refusal::OriginNotAllowed,
                403,
                r#"{"detail":"Forbidden (origin not allowed)"}"#,
                None,
            ),
            (
                Refusal::LockedOut { retry_after_s: 2 },
                429,
                r#"{"detail":"Too Many Requests (auth lockout)"}"#,
                Some(("retry-after", "2")),
            ),
            (
                Refusal::NoTokenConfigured,
                503,
                r#"{"detail":"Gateway auth required but no token configured"}"#,
                None,
            ),
            (
                Refusal::Unauthorized,
                401,
                r#"{"detail":"Unauthorized"}"#,
                Some(("www-authenticate", "Bearer")),
            ),
            (
                Refusal::CsrfRequired,
                403,
                r#"{"detail":"Gateway browser session CSRF token missing or invalid","reason_code":"csrf_required"}"#,
                None,
            ),
            (
                Refusal::AdminRequired(route),
                403,
                r#"{"detail":"Admin principal required","reason_code":"admin_required","required_role":"admin","resource_class":"admin","action":"write"}"#,
                None,
            ),
            (
                Refusal::TooLarge {
                    bytes: 300,
                    limit: 256,
                },
                413,
                r#"{"detail":"Payload Too Large (300 bytes > 256 bytes)"}"#,
                None,
            ),
            (
                Refusal::RateLimited { retry_after_s: 41 },
                429,
                r#"{"detail":"Too Many Requests (rate limit)"}"#,
                Some(("retry-after", "41")),
            ),
            (
                Refusal::ConcurrencyLimit,
                429,
                r#"{"detail":"Too Many Requests (concurrency limit)"}"#,
                Some(("retry-after", "1")),
            ),
        ];
        for (refusal, status, body, header) in cases {
            assert_eq!(refusal.status(), status, "{refusal:?}");
            assert_eq!(refusal.body().to_string(), body, "{refusal:?}");
            let headers = refusal.headers();
            let found = headers.first().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(found, header, "{refusal:?}");
        }
    }
}
