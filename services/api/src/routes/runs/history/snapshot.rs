//! The workflow snapshot of a run: no row is written for it at start (architecture §4), it follows from the run's id
//! and its bundle.

use std::collections::BTreeMap;

use ag_bundles::reference::WorkflowRef;
use ag_store::RunRow;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::CallContext;

#[derive(Serialize)]
struct Content<'a> {
    kind: &'static str,
    bundle_ref: &'a str,
    flow_id: &'a str,
    visualflow: &'a ag_bundles::Object,
}

/// The reference to the snapshot; `None` for runs of no bundle, and where the bundle cannot be read.
pub(super) async fn derive(ctx: &CallContext, row: &RunRow) -> Option<Value> {
    let workflow_id = &*row.head.workflow_id;
    let reference = WorkflowRef::parse(workflow_id)?;
    let sha256 = row.bundle_sha256.as_deref()?;
    let loaded = ctx.workflows().bundle(ctx.scope(), sha256).await.ok()?;
    let flow = loaded.bundle.flow(reference.flow_id)?;
    let (bundle_ref, _) = workflow_id.split_once(':')?;
    let content = Content {
        kind: "visualflow_json",
        bundle_ref,
        flow_id: reference.flow_id,
        visualflow: flow,
    };
    let content = serde_json::to_vec(&content).ok()?;
    let run_id = row.head.run_id.to_string();
    Some(json!({
        "workflow_id": workflow_id,
        "format": "visualflow_json",
        "sha256": hex::encode(Sha256::digest(sorted(&Value::Object((**flow).clone())).to_string())),
        "artifact_id": ag_artifacts::artifact_id(Some(&run_id), &content),
        "created_at": row.head.created_at,
    }))
}

/// The same value with the keys of every object in order. Documents are bounded in depth by the reader of bundles.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members: BTreeMap<&String, Value> =
                object.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
