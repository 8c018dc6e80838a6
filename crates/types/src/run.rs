//! The durable state of a run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Object, RunId, Timestamp, Wait};

/// Status of a run (wire values of the contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Has a next node.
    Running,
    /// Rests on a wait.
    Waiting,
    /// Ended with an output.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by command.
    Cancelled,
}

impl RunStatus {
    /// The wire text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the wire text.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Waiting,
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }

    /// True for a status that never changes again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What never changes in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHead {
    /// Id of the run.
    pub run_id: RunId,
    /// Workflow it executes, as the contract spells it (`bundle@version:flow`, `scheduled:…`, derived ids).
    pub workflow_id: Arc<str>,
    /// `"gateway"` for all that clients start.
    pub actor_id: Option<Arc<str>>,
    /// Grouping id.
    pub session_id: Option<Arc<str>>,
    /// Run that started this one.
    pub parent_run_id: Option<RunId>,
    /// Time of the start.
    pub created_at: Timestamp,
}

/// The mutable state of a run, as a step sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Identity.
    pub head: RunHead,
    /// Where it stands.
    pub status: RunStatus,
    /// Node that executes or rests.
    pub current_node: String,
    /// Variables, reserved namespaces included (kernel spec §1.5).
    pub vars: Object,
    /// The wait of a resting run.
    pub waiting: Option<Wait>,
    /// Output of a completed run.
    pub output: Option<Value>,
    /// Failure text or cancel reason.
    pub error: Option<String>,
    /// Time of the last commit.
    pub updated_at: Timestamp,
}

impl RunState {
    /// True while `_runtime.control.paused` is set.
    pub fn is_paused(&self) -> bool {
        self.vars
            .get("_runtime")
            .and_then(|runtime| runtime.get("control"))
            .and_then(|control| control.get("paused"))
            .is_some_and(|flag| flag == &Value::Bool(true))
    }
}
