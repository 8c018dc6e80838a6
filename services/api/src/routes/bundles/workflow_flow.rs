//! `GET /workflows/{workflow_id}/flow`: the document behind an id that a run carries.

use ag_bundles::select::{SelectError, Target, select_inspection};
use ag_store::{DocumentKind, RunFilter};
use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::inspect::FlowAnswer;
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, string},
};

/// A workflow id.
pub(super) struct WorkflowPath(String);

impl Request for WorkflowPath {
    fn read(reader: &mut Reader) -> Self {
        Self(reader.path().required("workflow_id", string()))
    }
}

/// A flow of a bundle, or a generated one.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WorkflowAnswer {
    Bundle(FlowAnswer),
    Dynamic {
        workflow_id: String,
        flow: Value,
        source: &'static str,
    },
}

pub(super) async fn get_workflow_flow(
    ctx: CallContext,
    Input(WorkflowPath(workflow_id)): Input<WorkflowPath>,
) -> ApiResult<Json<WorkflowAnswer>> {
    let registry = ctx.workflows().current(ctx.scope()).await?;
    match select_inspection(&registry.index, &workflow_id)? {
        Target::Flow(flow) => Ok(Json(WorkflowAnswer::Bundle(
            FlowAnswer::of(&ctx, &registry, &flow).await?,
        ))),
        // Databases refuse to look for an id with U+0000.
        Target::Dynamic(id) if id.contains('\0') => Err(SelectError::WorkflowNotFound(id).into()),
        Target::Dynamic(id) => {
            let document = ctx
                .store()
                .document(ctx.scope(), DocumentKind::DynamicFlow, &id)
                .await?;
            let document = document.ok_or_else(|| SelectError::WorkflowNotFound(id.clone()))?;
            let mut flow: Value = serde_json::from_str(&document.body)
                .map_err(|error| ApiError::internal("stored dynamic flow", &error))?;
            if let Some(interval) = current_interval(&ctx, &id).await? {
                fill_interval(&mut flow, &interval);
            }
            Ok(Json(WorkflowAnswer::Dynamic {
                workflow_id: id,
                flow,
                source: "dynamic",
            }))
        }
    }
}

/// The interval in force: an edit of a schedule changes its run, not the stored document (architecture D18).
async fn current_interval(ctx: &CallContext, workflow_id: &str) -> ApiResult<Option<Value>> {
    let filter = RunFilter {
        workflow_id: Some(workflow_id.to_owned()),
        root_only: true,
        include_drafts: true,
        limit: 1,
        ..RunFilter::default()
    };
    let Some(found) = ctx.store().runs(ctx.scope(), filter).await?.pop() else {
        return Ok(None);
    };
    let Some(run) = ctx.store().run(ctx.scope(), found.head.run_id).await? else {
        return Ok(None);
    };
    let vars: Object = serde_json::from_str(&run.columns.vars)
        .map_err(|error| ApiError::internal("stored run variables", &error))?;
    let interval = vars
        .get("_meta")
        .and_then(|meta| meta.pointer("/schedule/interval"));
    Ok(interval.filter(|interval| interval.is_string()).cloned())
}

fn fill_interval(flow: &mut Value, interval: &Value) {
    let nodes = flow.get_mut("nodes").and_then(Value::as_array_mut);
    let waits = nodes
        .into_iter()
        .flatten()
        .filter(|node| node["id"] == json!("wait_interval"));
    for node in waits {
        if let Some(schedule) = node.pointer_mut("/data/eventConfig/schedule") {
            *schedule = interval.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_interval_of_the_run() {
        let mut flow = json!({"nodes": [
            {"id": "wait_start", "data": {"eventConfig": {"schedule": "now"}}},
            {"id": "wait_interval", "data": {"eventConfig": {"schedule": "1d"}}},
        ]});
        fill_interval(&mut flow, &json!("2h"));
        assert_eq!(flow["nodes"][0]["data"]["eventConfig"]["schedule"], "now");
        assert_eq!(flow["nodes"][1]["data"]["eventConfig"]["schedule"], "2h");
        let mut odd = json!({"nodes": 3});
        fill_interval(&mut odd, &json!("2h"));
        assert_eq!(odd, json!({"nodes": 3}));
    }
}
