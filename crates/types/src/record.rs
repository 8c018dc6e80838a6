//! Ledger records as they are written: a borrowed view that serialises to the sixteen keys of the contract.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{Object, RunId, StepId, Timestamp};

/// Status of a ledger record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// The effect begins.
    Started,
    /// It ended well.
    Completed,
    /// It waits.
    Waiting,
    /// It failed.
    Failed,
}

/// The effect part of a record; `kind` is text because of the pseudo type `resume`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EffectView<'a> {
    /// Effect type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Arguments.
    pub payload: &'a Object,
    /// Where the result goes.
    pub result_key: Option<&'a str>,
}

/// One record. Key order is the wire order.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RecordView<'a> {
    /// Run that owns the ledger.
    pub run_id: RunId,
    /// Shared by the records of one attempt.
    pub step_id: StepId,
    /// Node that was executing.
    pub node_id: &'a str,
    /// What happened.
    pub status: StepStatus,
    /// The effect, if there is one.
    pub effect: Option<EffectView<'a>>,
    /// Its result or wait.
    pub result: Option<&'a Value>,
    /// Failure text.
    pub error: Option<&'a str>,
    /// Start of the attempt; repeated in the final record.
    pub started_at: Timestamp,
    /// End of the attempt.
    pub ended_at: Option<Timestamp>,
    /// Actor of the run.
    pub actor_id: Option<&'a str>,
    /// Session of the run.
    pub session_id: Option<&'a str>,
    /// 1 unless a crash or a policy repeated the effect.
    pub attempt: u32,
    /// Hash of (run, node, effect) or a `system:` key.
    pub idempotency_key: Option<&'a str>,
    /// Reserved by the format; always null.
    pub prev_hash: Null,
    /// Reserved by the format; always null.
    pub record_hash: Null,
    /// Reserved by the format; always null.
    pub signature: Null,
}

/// Serialises as null: the hash-chain fields exist in the format and are unused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Serialize for Null {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}
