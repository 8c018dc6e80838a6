//! What a resting run waits for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;

/// Why a run waits (wire values of the contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// A named event.
    Event,
    /// A point in time.
    Until,
    /// A person: a question, an approval, or a pause of a running run.
    User,
    /// An external worker.
    Job,
    /// The end of a child run.
    Subworkflow,
}

impl WaitReason {
    /// Reads the wire text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Until, Self::User, Self::Job, Self::Subworkflow]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }

    /// The wire text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Until => "until",
            Self::User => "user",
            Self::Job => "job",
            Self::Subworkflow => "subworkflow",
        }
    }
}

/// A wait, always serialised with all nine keys in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Kind of the wait.
    pub reason: WaitReason,
    /// What a resume must name; none for `until`.
    pub wait_key: Option<String>,
    /// Due time of an `until` wait.
    pub until: Option<Timestamp>,
    /// Node that runs next; none means that the payload becomes the output of the run.
    pub resume_to_node: Option<String>,
    /// Dotted path in vars that receives the payload.
    pub result_key: Option<String>,
    /// Question for a person.
    pub prompt: Option<String>,
    /// Offered answers.
    pub choices: Option<Value>,
    /// Whether another answer than the offered ones is fine.
    pub allow_free_text: bool,
    /// Kind-specific object.
    pub details: Option<Value>,
}

impl Wait {
    /// A wait with nothing but its reason and key.
    pub fn new(reason: WaitReason, wait_key: Option<String>) -> Self {
        Self {
            reason,
            wait_key,
            until: None,
            resume_to_node: None,
            result_key: None,
            prompt: None,
            choices: None,
            allow_free_text: true,
            details: None,
        }
    }

    /// True for the wait that a pause puts on a running run.
    pub fn is_pause(&self) -> bool {
        self.wait_key
            .as_deref()
            .is_some_and(|key| key.starts_with("pause:"))
    }
}
