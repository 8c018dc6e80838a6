//! The writing statements of the shared plan, in the order in which a transaction runs them.

/// A table's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Statement {
    ExpiredKeys,
    StartKey,
    Run,
    Head,
    Owner,
    Artifact,
    Span,
    Assertion,
    RunUpdate,
    HeadUpdate,
    HeadDelete,
    Ledger,
    MailRead,
    Mail,
    Command,
    Outcome,
    CommandSeq,
}

impl Statement {
    pub(super) const ALL: [Self; 17] = [
        Self::ExpiredKeys,
        Self::StartKey,
        Self::Run,
        Self::Head,
        Self::Owner,
        Self::Artifact,
        Self::Span,
        Self::Assertion,
        Self::RunUpdate,
        Self::HeadUpdate,
        Self::HeadDelete,
        Self::Ledger,
        Self::MailRead,
        Self::Mail,
        Self::Command,
        Self::Outcome,
        Self::CommandSeq,
    ];

    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::ExpiredKeys => "DELETE FROM start_keys WHERE plane_id = ? AND created_at < ?",
            Self::StartKey => {
                "INSERT INTO start_keys (plane_id, key, body_sha256, run_id, created_at) VALUES (?, ?, ?, ?, ?)"
            }
            Self::Run => {
                "INSERT INTO runs (run_id, plane_id, status, rev, epoch, last_seq, created_at, updated_at, paused, \
                 steps, llm_calls, tool_calls, tokens_total, parent_run_id, workflow_id, actor_id, session_id, \
                 bundle_sha256, current_node, wait_reason, wait_key, wait_until, lifecycle, error, wait, meta, \
                 output, vars) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::Head => {
                "INSERT INTO run_heads (run_id, plane_id, pool, mail_in, ready_at, wake_at, crashes) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)"
            }
            Self::Owner => {
                "INSERT INTO memory_owners (plane_id, owner_id, session_id, created_at, updated_at) \
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            }
            Self::Artifact => {
                "INSERT INTO artifacts (plane_id, artifact_id, run_id, blob_id, content_type, size_bytes, \
                 created_at, semantic_kind, render_kind, modality, session_id, meta) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (plane_id, artifact_id) DO UPDATE SET run_id = excluded.run_id, \
                 blob_id = excluded.blob_id, content_type = excluded.content_type, \
                 size_bytes = excluded.size_bytes, created_at = excluded.created_at, \
                 semantic_kind = excluded.semantic_kind, render_kind = excluded.render_kind, \
                 modality = excluded.modality, session_id = excluded.session_id, meta = excluded.meta"
            }
            Self::Span => {
                "INSERT INTO memory_spans (plane_id, owner_id, span_id, change, created_at, body) \
                 VALUES (?, ?, ?, ?, ?, ?)"
            }
            Self::Assertion => {
                "INSERT INTO kg_assertions (plane_id, owner_id, scope, assertion_id, subject, predicate, object, \
                 observed_at, valid_from, valid_until, body, model, vector) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::RunUpdate => {
                "UPDATE runs SET status = ?, rev = ?, epoch = ?, last_seq = ?, updated_at = ?, paused = ?, \
                 steps = ?, llm_calls = ?, tool_calls = ?, tokens_total = ?, current_node = ?, wait_reason = ?, \
                 wait_key = ?, wait_until = ?, lifecycle = ?, error = ?, wait = ?, meta = ?, output = ?, vars = ? \
                 WHERE run_id = ? AND plane_id = ?"
            }
            Self::HeadUpdate => {
                "UPDATE run_heads SET pool = ?, mail_in = ?, ready_at = ?, wake_at = ?, crashes = ?, \
                 driven_epoch = ? WHERE run_id = ? AND plane_id = ?"
            }
            Self::HeadDelete => "DELETE FROM run_heads WHERE run_id = ? AND plane_id = ?",
            Self::Ledger => {
                "INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records) VALUES (?, ?, ?, ?, ?)"
            }
            Self::MailRead => "DELETE FROM mail WHERE run_id = ? AND plane_id = ? AND n <= ?",
            Self::Mail => {
                "INSERT INTO mail (run_id, plane_id, n, kind, body, command_id) VALUES (?, ?, ?, ?, ?, ?)"
            }
            Self::Command => {
                "INSERT INTO commands (plane_id, command_id, seq, run_id, type, payload, client_id, ts, \
                 created_at, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::Outcome => "UPDATE commands SET outcome = ? WHERE plane_id = ? AND command_id = ?",
            Self::CommandSeq => "UPDATE planes SET command_seq = ? WHERE plane_id = ?",
        }
    }
}
