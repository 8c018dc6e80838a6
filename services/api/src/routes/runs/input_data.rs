//! `GET /runs/{run_id}/input_data`: what a run was started with.

use ag_bundles::{input_schema, reference::WorkflowRef};
use ag_types::Object;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    lookup::{self, Subject},
    summary::OneRun,
    vars::{Reserved, TopLevel},
};
use crate::{ApiResult, CallContext, Input, workspace};

#[derive(Serialize)]
struct InputData<'a> {
    run_id: &'a str,
    workflow_id: &'a str,
    bundle_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_version: Option<String>,
    flow_id: Option<String>,
    pin_ids: Vec<String>,
    input_data: TopLevel<'a>,
    workspace: Object,
}

/// Where a workflow id points, if it is one of a bundle.
struct Target {
    bundle_id: String,
    bundle_version: Option<String>,
    flow_id: String,
    pin_ids: Vec<String>,
}

/// Gives the input of a run, restricted to the pins of its entry flow where it has any.
pub(super) async fn get_run_input_data(ctx: CallContext, Input(asked): Input<OneRun>) -> ApiResult<Response> {
    let row = match lookup::subject(&ctx, &asked.run_id).await? {
        Subject::Run(row) => row,
        Subject::Owner(owner) => {
            let answer = InputData {
                run_id: &owner.owner_id,
                workflow_id: lookup::owner_workflow(&owner),
                bundle_id: None,
                bundle_version: None,
                flow_id: None,
                pin_ids: Vec::new(),
                input_data: TopLevel::default(),
                workspace: Object::new(),
            };
            return Ok(Json(answer).into_response());
        }
    };
    let reserved = Reserved::read(&row.columns.vars);
    let vars = TopLevel::read(&row.columns.vars);
    let workspace = workspace_of(&ctx, &vars);
    let workflow_id = &*row.head.workflow_id;
    let schedule = reserved.schedule();
    let text = |key: &str| schedule.as_ref().and_then(|schedule| schedule.get(key)?.as_str());
    let (workflow, payload) = match text("target_workflow_id") {
        Some(target) => (target, reserved.payload().unwrap_or_default()),
        None => (workflow_id, vars),
    };
    // A run keeps its bundle; the target of a schedule is looked up as it is installed now.
    let sha256 = if schedule.is_some() {
        None
    } else {
        row.bundle_sha256.as_deref()
    };
    let target = pins(&ctx, workflow, sha256).await?;
    let public = |name: &str| !name.starts_with('_');
    let (bundle_id, bundle_version, flow_id, pin_ids, input_data) = match target {
        Some(target) if !target.pin_ids.is_empty() => {
            let kept = payload.keep(|name| target.pin_ids.iter().any(|pin| pin == name));
            (
                Some(target.bundle_id),
                target.bundle_version,
                Some(target.flow_id),
                target.pin_ids,
                kept,
            )
        }
        _ => {
            let (bundle, flow) = match workflow.split_once(':') {
                Some((bundle, flow)) => (Some(bundle.to_owned()), Some(flow.to_owned())),
                None => (None, None),
            };
            let payload = if schedule.is_some() {
                payload
            } else {
                payload.keep(public)
            };
            (bundle, None, flow, Vec::new(), payload)
        }
    };
    let run_id = row.head.run_id.to_string();
    let answer = InputData {
        run_id: &run_id,
        workflow_id,
        bundle_id,
        bundle_version,
        flow_id,
        pin_ids,
        input_data,
        workspace,
    };
    Ok(Json(answer).into_response())
}

/// The start node's pins of a workflow; `None` if it is none of a bundle, or its bundle cannot be read.
async fn pins(ctx: &CallContext, workflow_id: &str, sha256: Option<&str>) -> ApiResult<Option<Target>> {
    let Some(reference) = WorkflowRef::parse(workflow_id) else {
        return Ok(None);
    };
    let sha256 = match sha256 {
        Some(sha256) => sha256.to_owned(),
        None => {
            let registry = ctx.workflows().current(ctx.scope()).await?;
            let version = reference.bundle.version.unwrap_or_default();
            match registry.index.get(reference.bundle.bundle_id, version) {
                Some(version) => version.sha256.clone(),
                None => return Ok(None),
            }
        }
    };
    let loaded = match ctx.workflows().bundle(ctx.scope(), &sha256).await {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::warn!(error = %error, "a bundle of a run cannot be read");
            return Ok(None);
        }
    };
    Ok(loaded.bundle.flow(reference.flow_id).map(|flow| Target {
        bundle_id: reference.bundle.bundle_id.to_owned(),
        bundle_version: reference.bundle.version.map(str::to_owned),
        flow_id: reference.flow_id.to_owned(),
        pin_ids: input_schema::inputs(flow)
            .into_iter()
            .map(|input| input.id)
            .collect(),
    }))
}

/// The workspace fields that are set; paths below the operator's root are shown relative to it.
fn workspace_of(ctx: &CallContext, vars: &TopLevel<'_>) -> Object {
    let root = workspace::operator_root(ctx.state().config());
    let root = root.canonicalize().unwrap_or(root);
    let relative = |text: &str| match std::path::Path::new(text.trim()).strip_prefix(&root) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.to_string_lossy().into_owned(),
        Err(_) => text.trim().to_owned(),
    };
    let mut out = Object::new();
    for name in [
        "workspace_root",
        "workspace_access_mode",
        "workspace_allowed_paths",
        "workspace_ignored_paths",
    ] {
        let is_path = name != "workspace_access_mode";
        let shown = match vars.get(name) {
            Some(Value::String(text)) if text.trim().is_empty() => continue,
            Some(Value::String(text)) if is_path => {
                Value::from(text.lines().map(relative).collect::<Vec<_>>().join("\n"))
            }
            Some(Value::Array(items)) if items.is_empty() => continue,
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(relative).collect(),
            Some(Value::String(text)) => text.into(),
            _ => continue,
        };
        out.insert(name.to_owned(), shown);
    }
    out
}
