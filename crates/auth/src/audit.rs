//! The audit log: one line per write request, rejected ones included, without bodies or tokens.

mod file;
mod query;
mod queue;
mod record;

pub use file::AuditFile;
pub use query::redact_query;
pub use queue::QueuedAudit;
pub use record::{AuditRecord, pick_headers, timestamp};

/// Where audit records go. Must not block: it is called on the request's task.
pub trait AuditSink: Send + Sync {
    /// Takes a record.
    fn record(&self, record: AuditRecord);
}

/// For `AUDIT_LOG=0`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _record: AuditRecord) {}
}
