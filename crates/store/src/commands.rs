//! Durable client commands.

use std::sync::Arc;

use ag_types::{RunId, TenantScope, Timestamp};
use async_trait::async_trait;

use crate::{MailKind, Result, Woken};

/// A run that a command reaches, with the mail it gets.
#[derive(Debug, Clone)]
pub struct CommandTarget {
    /// Addressee.
    pub run: RunId,
    /// Kind of mail.
    pub kind: MailKind,
    /// JSON object.
    pub body: Arc<str>,
}

/// A command whose targets the caller has resolved by plain reads.
#[derive(Debug, Clone)]
pub struct NewCommand {
    /// Idempotency key over all runs of the plane.
    pub command_id: String,
    /// The request's `run_id`, verbatim.
    pub run_id: String,
    /// Type.
    pub kind: String,
    /// Payload, JSON text.
    pub payload: String,
    /// Client.
    pub client_id: Option<String>,
    /// The client's time, verbatim, or the time of acceptance.
    pub ts: String,
    /// Time of acceptance.
    pub now: Timestamp,
    /// Who gets mail.
    pub targets: Vec<CommandTarget>,
    /// Outcome known already (`run has ended`); such a command sends no mail.
    pub outcome: Option<String>,
}

/// What became of a posted command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostOutcome {
    /// Stored, mail sent.
    Accepted {
        /// Dense number inside the plane.
        seq: i64,
        /// Runs that became ready and whose bell should ring.
        woken: Vec<Woken>,
        /// Owned targets of a cancel: the sessions to be told at once.
        preempt: Vec<(ag_types::SessionId, RunId)>,
    },
    /// The id was used before.
    Duplicate {
        /// Number of then.
        seq: i64,
    },
    /// A tree target ended meanwhile: nothing stored, resolve the targets again.
    Stale,
}

/// A stored command.
#[derive(Debug, Clone)]
pub struct CommandRow {
    /// Dense number inside the plane.
    pub seq: i64,
    /// Id.
    pub command_id: String,
    /// Run as given.
    pub run_id: String,
    /// Type.
    pub kind: String,
    /// Payload, JSON text.
    pub payload: String,
    /// Client.
    pub client_id: Option<String>,
    /// Time as given.
    pub ts: String,
    /// Why it was refused, or a remark; `None` while unread and after plain success.
    pub outcome: Option<String>,
    /// True while some target has not read its mail.
    pub pending: bool,
}

/// Commands.
#[async_trait]
pub trait CommandStore: Send + Sync {
    /// Stores a command and its mail in one transaction.
    async fn post_command(&self, scope: &TenantScope, command: NewCommand) -> Result<PostOutcome>;
    /// A command by id.
    async fn command(&self, scope: &TenantScope, command_id: &str) -> Result<Option<CommandRow>>;
}
