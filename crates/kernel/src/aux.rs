//! The engine's own durable state of a run. Clients never see it; it is stored beside `vars` and changes in the
//! same commits.

use std::collections::BTreeMap;

use ag_types::{EffectKind, Object, RunId, StepId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An effect whose `started` record is written and whose end is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenEffect {
    /// Node that planned it.
    pub node_id: String,
    /// Effect type.
    pub kind: EffectKind,
    /// Payload as recorded.
    pub payload: Object,
    /// Where the result goes.
    pub result_key: Option<String>,
    /// Successor.
    pub next_node: Option<String>,
    /// Step of the current attempt.
    pub step_id: StepId,
    /// Idempotency key of the ledger.
    pub key: String,
    /// How often this node has planned an effect in this run, this time included (difference X1).
    pub visit: u32,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Start of the attempt.
    pub started_at: Timestamp,
    /// False while the outside has certainly not been called under this record.
    pub called: bool,
}

fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// State beside the variables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunAux {
    /// Effect steps planned per node.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub visits: BTreeMap<String, u32>,
    /// The effect in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenEffect>,
    /// The tool batch that rests on an approval or an outside worker: its `completed` record repeats this effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_wait: Option<OpenEffect>,
    /// Details and target of an approved batch whose tools run now; a crash resumes from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<ApprovedBatch>,
    /// Ends of children that arrived while the run was paused; applied first when it is un-paused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Value>,
    /// The open effect rests on the answer of another run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Work that others have asked of this run, oldest first: done between two steps, whatever the run rests on. The
    /// form of an entry is the driver's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Value>,
    /// The end of the current node's effect, stored before this run was imported but not yet part of its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<PriorResult>,
    /// The parent wants node traces with this run's end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub report_traces: bool,
    /// Ancestors of this run; bounds flows that start themselves.
    #[serde(skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// Pool of the run while it visits another one for a node (architecture D19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_pool: Option<String>,
    /// Node types that who made the run did not know: they are identity functions for good. Any other unknown type is
    /// one that a newer runner knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_types: Vec<String>,
    /// W3C trace context of the start, which traces of later ticks link to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// A cancel was applied or is being applied: no more children.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
}

/// Whose answer the open effect waits for. The run stays `running` meanwhile, without a `waiting` record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The other run.
    pub target: RunId,
    /// Its answer, once it is there; the form is the driver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
}

/// A result that the next effect takes over instead of being performed, if it is the same one (difference X1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriorResult {
    /// Node that planned it.
    pub node_id: String,
    /// Its key, made without a visit number.
    pub key: String,
    /// Its result.
    pub result: Value,
}

/// An approved tool batch (architecture D9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovedBatch {
    /// The wait that was approved.
    pub wait: ag_types::Wait,
    /// The approving payload.
    pub payload: Value,
    /// A pause (with its reason) arrived while the tools ran; it applies at the end of the batch.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub pause: Option<Option<String>>,
}

/// A pause without a reason is stored as null, which must not be read back as "no pause".
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ag_types::{Wait, WaitReason};

    #[test]
    fn a_pause_of_a_batch_survives_storage_with_and_without_a_reason() {
        for pause in [None, Some(None), Some(Some("lunch".to_owned()))] {
            let batch = ApprovedBatch {
                wait: Wait::new(WaitReason::User, Some("tool_approval:1".into())),
                payload: serde_json::json!({"approved": true}),
                pause,
            };
            let text = serde_json::to_string(&batch).expect("text");
            assert_eq!(
                serde_json::from_str::<ApprovedBatch>(&text).expect("batch"),
                batch,
                "{text}"
            );
        }
    }

    #[test]
    fn an_empty_state_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&RunAux::default()).expect("text"), "{}");
        assert_eq!(
            serde_json::from_str::<RunAux>("{}").expect("aux"),
            RunAux::default()
        );
    }
}
