//! One line of the audit log.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Longest text of a client-given field; the rest is cut, so that a queue of records has a bounded size.
const MAX_CHARS: usize = 2_048;

/// A write request. Fields are in the order of the line (`core-security.md` section 6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Start of the request, see [`timestamp`].
    pub ts: String,
    /// Id of the request.
    pub request_id: String,
    /// Client address.
    pub ip: String,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Query with its values redacted, see [`super::redact_query`].
    pub query: String,
    /// HTTP status; 0 after an unhandled failure.
    pub status: u16,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// Whether a credential was required.
    pub auth_required: bool,
    /// Fingerprint of the presented bearer token, valid or not.
    #[serde(skip_serializing_if = "is_empty")]
    pub auth_token_fp: Option<String>,
    /// User, once authenticated.
    #[serde(skip_serializing_if = "is_empty")]
    pub principal_user_id: Option<String>,
    /// Tenant, once authenticated.
    #[serde(skip_serializing_if = "is_empty")]
    pub principal_tenant_id: Option<String>,
    /// `Origin`.
    #[serde(skip_serializing_if = "is_empty")]
    pub origin: Option<String>,
    /// `User-Agent`.
    #[serde(skip_serializing_if = "is_empty")]
    pub user_agent: Option<String>,
    /// `Content-Length`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// The configured headers that are present, see [`pick_headers`].
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub headers: Vec<(String, String)>,
    /// What an unhandled failure said.
    #[serde(skip_serializing_if = "is_empty")]
    pub error: Option<String>,
}

impl AuditRecord {
    /// The line with its newline. JSON escapes control characters, so a client cannot forge a second line.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Cuts client-given texts to a bounded length.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let own = [
            &mut self.request_id,
            &mut self.ip,
            &mut self.method,
            &mut self.path,
            &mut self.query,
        ];
        let optional = [&mut self.origin, &mut self.user_agent, &mut self.error];
        let texts = own.into_iter().chain(optional.into_iter().flatten());
        for text in texts.chain(self.headers.iter_mut().map(|(_, value)| value)) {
            if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
                text.truncate(end);
            }
        }
        self
    }
}

/// A point in time as the log writes it: `2026-11-20T11:31:03.585977+00:00`.
#[must_use]
pub fn timestamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// The configured headers that a request has, by lower-case name, in configured order.
#[must_use]
pub fn pick_headers<'a>(names: &[String], header: impl Fn(&str) -> Option<&'a str>) -> Vec<(String, String)> {
    let present = |name: &String| {
        let name = name.to_ascii_lowercase();
        let value = header(&name)
            .map(str::trim)
            .filter(|value| !value.is_empty())?
            .to_owned();
        Some((name, value))
    };
    names.iter().filter_map(present).collect()
}

fn is_empty(text: &Option<String>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}

fn as_map<S: Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_the_contract() {
        let record = AuditRecord {
            ts: timestamp("2026-11-20T11:31:03.585977Z".parse().expect("timestamp")),
            request_id: "ca3c36bc603c46b382872808f4f6d005".to_owned(),
            ip: "127.0.0.1".to_owned(),
            method: "POST".to_owned(),
            path: "/api/gateway/bundles/reload".to_owned(),
            query: crate::audit::redact_query("a=1&b=2&c="),
            status: 200,
            duration_ms: 3,
            auth_required: true,
            auth_token_fp: Some("1a7674eb4ee7".to_owned()),
            principal_user_id: Some("local-admin".to_owned()),
            principal_tenant_id: Some("local".to_owned()),
            origin: Some("http://localhost:1".to_owned()),
            user_agent: Some("curl/7.88.1".to_owned()),
            headers: vec![("x-foo".to_owned(), "bar".to_owned())],
            ..AuditRecord::default()
        };
        let expected = r#"{"ts":"2026-11-20T11:31:03.585977+00:00","request_id":"ca3c36bc603c46b382872808f4f6d005","ip":"127.0.0.1","method":"POST","path":"/api/gateway/bundles/reload","query":"a=<redacted>&b=<redacted>&c=<redacted>","status":200,"duration_ms":3,"auth_required":true,"auth_token_fp":"1a7674eb4ee7","principal_user_id":"local-admin","principal_tenant_id":"local","origin":"http://localhost:1","user_agent":"curl/7.88.1","headers":{"x-foo":"bar"}}"#;
        assert_eq!(
            String::from_utf8_lossy(&record.to_line()),
            format!("{expected}\n")
        );
    }

    #[test]
    fn empty_fields_are_left_out() {
        let record = AuditRecord {
            origin: Some(String::new()),
            bytes_in: Some(0),
            error: Some("boom".to_owned()),
            ..AuditRecord::default()
        };
        let expected = r#"{"ts":"","request_id":"","ip":"","method":"","path":"","query":"","status":0,"duration_ms":0,"auth_required":false,"bytes_in":0,"error":"boom"}"#;
        assert_eq!(
            String::from_utf8_lossy(&record.to_line()),
            format!("{expected}\n")
        );
    }

    #[test]
    fn lines_cannot_be_forged_or_grow() {
        let record = AuditRecord {
            user_agent: Some(format!("x\n{{\"ts\":1}}\r{}", "é".repeat(5_000))),
            headers: vec![("x-a".to_owned(), "y".repeat(5_000))],
            ..AuditRecord::default()
        };
        let record = record.bounded();
        assert_eq!(
            record.user_agent.as_deref().map(|text| text.chars().count()),
            Some(MAX_CHARS)
        );
        assert_eq!(record.headers[0].1.len(), MAX_CHARS);
        let line = record.to_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn timestamps_have_six_digits() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000+00:00"),
            ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456+00:00"),
        ] {
            assert_eq!(timestamp(text.parse().expect("timestamp")), expected);
        }
    }

    #[test]
    fn configured_headers() {
        let names = ["X-Client-Id", "x-missing", "x-blank"].map(str::to_owned);
        let header = |name: &str| match name {
            "x-client-id" => Some(" web "),
            "x-blank" => Some("  "),
            _ => None,
        };
        assert_eq!(
            pick_headers(&names, header),
            [("x-client-id".to_owned(), "web".to_owned())]
        );
    }
}
