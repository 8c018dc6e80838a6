//! What is addressed to a run.

use std::sync::Arc;

use ag_types::RunId;
use serde::{Deserialize, Serialize};

/// Mail kinds (architecture D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Resume of a wait with a payload.
    Resume,
    /// Pause.
    Pause,
    /// Un-pause.
    Unpause,
    /// Cancel; taken before all other mail.
    Cancel,
    /// An event for a listener.
    Event,
    /// A child run ended.
    ChildDone,
    /// New interval of a schedule.
    UpdateSchedule,
    /// Compaction by command.
    CompactMemory,
    /// A record to append (summary, chat).
    AppendRecord,
    /// A change of this run's memory by another run's effect.
    MemoryWrite,
    /// Its answer.
    MemoryReply,
}

impl MailKind {
    /// Stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Cancel => "cancel",
            Self::Event => "event",
            Self::ChildDone => "child_done",
            Self::UpdateSchedule => "update_schedule",
            Self::CompactMemory => "compact_memory",
            Self::AppendRecord => "append_record",
            Self::MemoryWrite => "memory_write",
            Self::MemoryReply => "memory_reply",
        }
    }

    /// Reads the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        const ALL: [MailKind; 11] = [
            MailKind::Resume,
            MailKind::Pause,
            MailKind::Unpause,
            MailKind::Cancel,
            MailKind::Event,
            MailKind::ChildDone,
            MailKind::UpdateSchedule,
            MailKind::CompactMemory,
            MailKind::AppendRecord,
            MailKind::MemoryWrite,
            MailKind::MemoryReply,
        ];
        ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// True for mail that walks a run tree: its loss would strand descendants, so a commit that cannot deliver it
    /// is refused as stale instead of dropping it.
    pub const fn is_tree(self) -> bool {
        matches!(self, Self::Pause | Self::Unpause | Self::Cancel)
    }

    /// True for mail that ends a wait; a run with such mail unread is no listener any more.
    pub const fn ends_wait(self) -> bool {
        matches!(self, Self::Resume | Self::Event | Self::ChildDone)
    }
}

/// Delivered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Number in the run's mailbox, dense from 1.
    pub n: i64,
    /// Kind.
    pub kind: MailKind,
    /// JSON object.
    pub body: Arc<str>,
    /// Command that caused it, whose outcome its application reports.
    pub command_id: Option<Arc<str>>,
}

/// Mail to send. Never crosses planes: the sender's plane is the target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutMail {
    /// Addressee.
    pub to: RunId,
    /// Kind.
    pub kind: MailKind,
    /// JSON object.
    pub body: Arc<str>,
    /// Command that caused it.
    pub command_id: Option<Arc<str>>,
}
