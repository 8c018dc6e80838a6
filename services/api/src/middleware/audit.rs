//! The audit record of a write request.

use std::time::Instant;

use ag_auth::{
    MethodClass, fingerprint,
    audit::{AuditRecord, AuditSink, pick_headers, redact_query, timestamp},
};
use http::StatusCode;

use super::guard::{Asked, Guards, Verdict};

/// A write request on its way.
pub(super) struct Audited {
    record: AuditRecord,
    since: Instant,
}

impl Audited {
    /// `None` for reads, which leave no record.
    pub(super) fn new(
        guards: &Guards,
        asked: &Asked<'_>,
        query: Option<&str>,
        request_id: &str,
        verdict: &Verdict,
    ) -> Option<Self> {
        if MethodClass::of(asked.method.as_str()) != MethodClass::Write {
            return None;
        }
        let owned = |name: &str| asked.header(name).map(str::to_owned);
        let principal = verdict.principal.as_ref().ok().and_then(Option::as_ref);
        let record = AuditRecord {
            ts: timestamp(jiff::Timestamp::now()),
            request_id: request_id.to_owned(),
            ip: asked.address.as_str().to_owned(),
            method: asked.method.to_string(),
            path: asked.path.to_owned(),
            query: query.map(redact_query).unwrap_or_default(),
            auth_required: verdict.auth_required,
            auth_token_fp: presented(asked, principal.map(|principal| principal.token_fingerprint.as_str())),
            principal_user_id: principal.map(|principal| principal.user_id.clone()),
            principal_tenant_id: principal.map(|principal| principal.tenant_id.clone()),
            origin: owned("origin"),
            user_agent: owned("user-agent"),
            bytes_in: asked.header("content-length").and_then(|length| length.parse().ok()),
            headers: pick_headers(&guards.audit_headers, |name| asked.header(name)),
            ..AuditRecord::default()
        };
        Some(Self { record, since: Instant::now() })
    }

    /// Writes the record.
    pub(super) fn finish(mut self, sink: &dyn AuditSink, status: StatusCode) {
        self.record.status = status.as_u16();
        self.record.duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        sink.record(self.record.bounded());
    }
}

/// Fingerprint of the presented bearer token, valid or not; taken from the principal where it is known there.
fn presented(asked: &Asked<'_>, known: Option<&str>) -> Option<String> {
    let (scheme, token) = asked.header("authorization")?.trim().split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return None;
    }
    match known.filter(|known| !known.is_empty()) {
        Some(known) => Some(known.to_owned()),
        None => Some(fingerprint(token)),
    }
}
