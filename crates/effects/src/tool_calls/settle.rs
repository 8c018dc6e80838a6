//! Answers to waiting batches (kernel spec §4.3, step 1).

use ag_tools::batch::{Answer, denied_results, executed, merge_waiting, waiting_calls};
use ag_types::{Object, Wait};
use serde_json::Value;

/// What the answer stores; `None` when it lets the calls run. Only waits for an approval know approval and denial;
/// whatever is neither results nor a choice is stored as it is.
pub(super) fn stored(wait: &Wait, payload: &Value) -> Option<Value> {
    let empty = Object::new();
    let details = wait.details.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let asks = details.get("mode").and_then(Value::as_str) == Some("approval_required");
    match Answer::read(payload) {
        Answer::Approved if asks => None,
        Answer::Denied(reason) if asks => {
            let results = denied_results(&waiting_calls(details), &reason);
            Some(executed(merge_waiting(details, results)))
        }
        Answer::Results(results) => {
            let mut stored = payload.clone();
            stored["results"] = merge_waiting(details, results).into();
            Some(stored)
        }
        _ => Some(payload.clone()),
    }
}
