//! The audit record of a write request.

use std::{sync::Arc, time::Instant};

use ag_auth::{
    MethodClass,
    audit::{AuditRecord, AuditSink, pick_headers, redact_query, timestamp},
    fingerprint,
};
use http::StatusCode;

use super::guard::{Asked, Guards, Verdict};

/// A write request on its way. Dropped without an answer, it leaves the record of an unhandled failure.
pub(super) struct Audited {
    record: Option<AuditRecord>,
    since: Instant,
    sink: Arc<dyn AuditSink>,
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
            auth_token_fp: presented(
                asked,
                principal.map(|principal| principal.token_fingerprint.as_str()),
            ),
            principal_user_id: principal.map(|principal| principal.user_id.clone()),
            principal_tenant_id: principal.map(|principal| principal.tenant_id.clone()),
            origin: owned("origin"),
            user_agent: owned("user-agent"),
            bytes_in: asked
                .header("content-length")
                .and_then(|length| length.parse().ok()),
            headers: pick_headers(&guards.audit_headers, |name| asked.header(name)),
            ..AuditRecord::default()
        };
        Some(Self {
            record: Some(record),
            since: Instant::now(),
            sink: guards.audit.clone(),
        })
    }

    /// Writes the record.
    pub(super) fn finish(mut self, status: StatusCode) {
        self.write(status.as_u16(), None);
    }

    fn write(&mut self, status: u16, error: Option<String>) {
        if let Some(mut record) = self.record.take() {
            record.status = status;
            record.duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            record.error = error;
            self.sink.record(record.bounded());
        }
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        self.write(0, Some("unhandled failure".to_owned()));
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
