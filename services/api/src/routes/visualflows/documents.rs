//! Reading and writing documents. The last write wins; unknown members of nodes and edges are kept.

use ag_bundles::visual_flow::{self, VisualFlowError};
use ag_store::{Document, DocumentKind, PutMode, PutOutcome};
use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, list, object, string},
};

/// Tries to find an unused id; eight digits are enough that the first one nearly always is.
const ID_ATTEMPTS: usize = 8;

impl From<VisualFlowError> for ApiError {
    fn from(error: VisualFlowError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// The stored documents; one that cannot be read is left out, as the reference leaves out broken files.
pub(super) async fn list_visualflows(ctx: CallContext) -> ApiResult<Json<Vec<Box<RawValue>>>> {
    let (_, documents) = ctx
        .store()
        .documents(ctx.scope(), DocumentKind::VisualFlow)
        .await?;
    let flows = documents.into_iter().filter_map(|document| {
        let flow = RawValue::from_string(document.body)
            .ok()
            .filter(|flow| flow.get().starts_with('{'));
        if flow.is_none() {
            tracing::warn!(flow = document.id, "skipping an unreadable document");
        }
        flow
    });
    Ok(Json(flows.collect()))
}

/// Members of a new document.
pub(super) struct CreateVisualFlow(Object);

impl Request for CreateVisualFlow {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        let mut members = Object::new();
        members.insert("name".to_owned(), body.required("name", string()).into());
        members.insert(
            "description".to_owned(),
            body.or_default("description", string()).into(),
        );
        members.insert(
            "interfaces".to_owned(),
            body.or_default("interfaces", list(string())).into(),
        );
        members.insert(
            "nodes".to_owned(),
            body.or_default("nodes", list(object())).into(),
        );
        members.insert(
            "edges".to_owned(),
            body.or_default("edges", list(object())).into(),
        );
        if let Some(entry) = body.optional("entryNode", string()) {
            members.insert("entryNode".to_owned(), entry.into());
        }
        Self(members)
    }
}

pub(super) async fn create_visualflow(
    ctx: CallContext,
    Input(CreateVisualFlow(members)): Input<CreateVisualFlow>,
) -> ApiResult<Json<Object>> {
    let now = ctx.now();
    for _ in 0..ID_ATTEMPTS {
        let mut flow_id = ctx.ids().hex32();
        flow_id.truncate(8);
        let flow = visual_flow::create(&flow_id, &members, &now.to_string());
        visual_flow::validate(&flow)?;
        if let PutOutcome::Written { .. } = put(&ctx, &flow_id, &flow, PutMode::Create).await? {
            return Ok(Json(flow));
        }
    }
    Err(ApiError::internal("creating a document", &"no unused id found"))
}

/// One document.
pub(super) struct FlowPath(String);

impl Request for FlowPath {
    fn read(reader: &mut Reader) -> Self {
        Self(reader.path().required("flow_id", string()))
    }
}

pub(super) async fn get_visualflow(
    ctx: CallContext,
    Input(FlowPath(flow_id)): Input<FlowPath>,
) -> ApiResult<Json<Object>> {
    Ok(Json(read(&ctx, &flow_id).await?))
}

/// Members to change; absent and null ones stay.
pub(super) struct UpdateVisualFlow {
    flow_id: String,
    members: Object,
}

impl Request for UpdateVisualFlow {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let flow_id = reader.path().required("flow_id", string());
        let mut members = Object::new();
        let mut body = reader.strict_body();
        take(&mut members, "name", body.optional("name", string()));
        take(
            &mut members,
            "description",
            body.optional("description", string()),
        );
        take(
            &mut members,
            "interfaces",
            body.optional("interfaces", list(string())),
        );
        take(&mut members, "nodes", body.optional("nodes", list(object())));
        take(&mut members, "edges", body.optional("edges", list(object())));
        take(&mut members, "entryNode", body.optional("entryNode", string()));
        Self { flow_id, members }
    }
}

fn take(members: &mut Object, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}

pub(super) async fn update_visualflow(
    ctx: CallContext,
    Input(request): Input<UpdateVisualFlow>,
) -> ApiResult<Json<Object>> {
    let mut flow = read(&ctx, &request.flow_id).await?;
    visual_flow::update(&mut flow, &request.members, &ctx.now().to_string());
    visual_flow::validate(&flow)?;
    match put(&ctx, &request.flow_id, &flow, PutMode::Replace).await? {
        PutOutcome::Missing => Err(missing(&request.flow_id)),
        PutOutcome::Written { .. } | PutOutcome::Exists => Ok(Json(flow)),
    }
}

#[derive(Serialize)]
pub(super) struct Deleted {
    status: &'static str,
    id: String,
}

pub(super) async fn delete_visualflow(
    ctx: CallContext,
    Input(FlowPath(flow_id)): Input<FlowPath>,
) -> ApiResult<Json<Deleted>> {
    visual_flow::check_id(&flow_id)?;
    match ctx
        .store()
        .delete_document(ctx.scope(), DocumentKind::VisualFlow, &flow_id)
        .await?
    {
        true => Ok(Json(Deleted {
            status: "deleted",
            id: flow_id,
        })),
        false => Err(missing(&flow_id)),
    }
}

/// A stored document, its `id` that of the path.
pub(super) async fn read(ctx: &CallContext, flow_id: &str) -> ApiResult<Object> {
    visual_flow::check_id(flow_id)?;
    let document = ctx
        .store()
        .document(ctx.scope(), DocumentKind::VisualFlow, flow_id)
        .await?;
    let document = document.ok_or_else(|| missing(flow_id))?;
    let mut flow: Object = serde_json::from_str(&document.body)
        .map_err(|error| ApiError::internal("stored document", &error))?;
    flow.insert("id".to_owned(), flow_id.into());
    Ok(flow)
}

async fn put(ctx: &CallContext, flow_id: &str, flow: &Object, mode: PutMode) -> ApiResult<PutOutcome> {
    let body = serde_json::to_string(flow).map_err(|error| ApiError::internal("document", &error))?;
    let document = Document {
        id: flow_id.to_owned(),
        body,
        updated_at: ctx.now(),
    };
    Ok(ctx
        .store()
        .put_document(ctx.scope(), DocumentKind::VisualFlow, document, mode)
        .await?)
}

fn missing(flow_id: &str) -> ApiError {
    ApiError::not_found(format!("Flow '{flow_id}' not found"))
}
