//! Work on the variables of another run (architecture D2a).
//!
//! Nobody but its holder writes a run. An effect that would change another run's conversation therefore mails it a
//! [`MemoryWrite`] and stays open as `started`; the target's holder does the work between two steps and mails a
//! [`MemoryReply`], which ends the effect. A target cannot end with unread mail, so a target that has ended without a
//! reply never got the letter: the effect fails.

use ag_kernel::{EffectRequest, Outcome, VarChange};
use ag_store::{MailKind, OutMail};
use ag_types::{EffectKind, Object, RunId, RunState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    context::{Conversation, Placement, note_message},
    owners::Subject,
};
use crate::handler::{Answer, EffectCtx};

/// Failure of an effect whose target has ended.
pub const TARGET_HAS_ENDED: &str = "target run has ended";

/// Work for another run, the body of [`MailKind::MemoryWrite`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryWrite {
    /// What to do.
    pub work: Work,
    /// Who asks.
    pub reply_to: RunId,
    /// Idempotency key of the asking effect; a reply to another one is dropped.
    pub key: String,
}

/// What to do with the target's conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Work {
    /// Perform an effect as one of the target's own.
    Effect {
        /// `memory_compact` or `memory_rehydrate`.
        kind: EffectKind,
        /// Without the target.
        payload: Object,
    },
    /// Show a note in the conversation.
    KeepNote {
        /// Span of the note.
        span_id: String,
        /// Its text.
        note: String,
        /// Its time.
        created_at: String,
        /// The asking effect's result, which lacks only what became of this.
        answer: Value,
    },
}

/// How the work ended, the body of [`MailKind::MemoryReply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryReply {
    /// Key of the asking effect.
    pub key: String,
    /// Its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl MemoryReply {
    /// Of an outcome.
    pub fn of(key: String, outcome: Result<Value, String>) -> Self {
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        Self { key, result, error }
    }

    /// The end of the asking effect.
    pub fn outcome(self) -> Outcome {
        match (self.error, self.result) {
            (Some(error), _) => Outcome::Failed(error),
            (None, result) => Outcome::Done {
                result: result.unwrap_or_default(),
                state: None,
            },
        }
    }
}

/// Mails work to the subject; the effect stays open.
pub(super) fn ask(ctx: &EffectCtx<'_>, subject: &Subject, request: &EffectRequest, work: Work) -> Answer {
    let target = subject.run_id.parse::<RunId>().ok().filter(|_| !subject.ended);
    let Some(target) = target else {
        return Answer::failed(TARGET_HAS_ENDED);
    };
    let write = MemoryWrite {
        work,
        reply_to: ctx.run.head.run_id,
        key: request.open.key.clone(),
    };
    // Texts, numbers and JSON values: this always serialises.
    let body = serde_json::to_string(&write).unwrap_or_default();
    Answer {
        mail: vec![OutMail {
            to: target,
            kind: MailKind::MemoryWrite,
            body: body.into(),
            command_id: None,
        }],
        ..Answer::of(Outcome::Asked { target })
    }
}

/// The payload of an effect as the target performs it.
pub(super) fn without_target(payload: &Object) -> Object {
    let mut payload = payload.clone();
    payload.shift_remove("target_run_id");
    payload
}

/// Shows a note in a run's own conversation: the change, and the finished answer of who asked for it.
pub fn keep_note(
    run: &RunState,
    span_id: &str,
    note: &str,
    created_at: &str,
    answer: Value,
) -> (Vec<VarChange>, Value) {
    let mut conversation = Conversation::of(&run.vars);
    let message = note_message(span_id, note, created_at);
    let done = conversation.insert(span_id, vec![message], Placement::AfterSummary, None);
    let mut answer = answer;
    if let Some(meta) = answer
        .pointer_mut("/results/0/meta")
        .and_then(Value::as_object_mut)
    {
        let kept = serde_json::json!({"inserted": done.inserted, "skipped": done.skipped});
        meta.insert("kept_in_context".to_owned(), kept);
    }
    (conversation.change(), answer)
}
