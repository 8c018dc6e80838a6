//! Looking at bundles.

use std::sync::Arc;

use ag_bundles::{
    Object, ResolvedFlow, input_schema,
    listing::{self, ListOptions},
    select::{ResolvedBundle, select_bundle, select_flow},
};
use ag_engine::workflows::{LoadedBundle, PlaneRegistry};
use axum::Json;
use serde::Serialize;
use serde_json::Value;

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, boolean, string},
};

/// Query of the list.
pub(super) struct ListBundles(ListOptions);

impl Request for ListBundles {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self(ListOptions {
            all_versions: query.or("all_versions", boolean(), false),
            include_drafts: query.or("include_drafts", boolean(), false),
            include_deprecated: query.or("include_deprecated", boolean(), false),
        })
    }
}

pub(super) async fn list_bundles(
    ctx: CallContext,
    Input(request): Input<ListBundles>,
) -> ApiResult<Json<Value>> {
    let registry = ctx.workflows().current(ctx.scope()).await?;
    let deprecation = |bundle: &str, flow: &str| deprecation_of(&registry, bundle, flow);
    Ok(Json(listing::bundles(&registry.index, request.0, &deprecation)))
}

/// A bundle, and optionally a flow of it.
pub(super) struct FlowPath {
    bundle_id: String,
    flow_id: String,
    bundle_version: Option<String>,
}

impl Request for FlowPath {
    fn read(reader: &mut Reader) -> Self {
        let bundle_id = reader.path().required("bundle_id", string());
        let flow_id = reader.path().required("flow_id", string());
        let bundle_version = reader.query().optional("bundle_version", string());
        Self {
            bundle_id,
            flow_id,
            bundle_version,
        }
    }
}

/// A bundle.
pub(super) struct BundlePath {
    bundle_id: String,
    bundle_version: Option<String>,
}

impl Request for BundlePath {
    fn read(reader: &mut Reader) -> Self {
        let bundle_id = reader.path().required("bundle_id", string());
        let bundle_version = reader.query().optional("bundle_version", string());
        Self {
            bundle_id,
            bundle_version,
        }
    }
}

pub(super) async fn get_bundle(
    ctx: CallContext,
    Input(request): Input<BundlePath>,
) -> ApiResult<Json<Value>> {
    let registry = ctx.workflows().current(ctx.scope()).await?;
    let bundle = select_bundle(
        &registry.index,
        &request.bundle_id,
        request.bundle_version.as_deref(),
    )?;
    let loaded = load(&ctx, &registry, &bundle).await?;
    let deprecation = |bundle: &str, flow: &str| deprecation_of(&registry, bundle, flow);
    Ok(Json(listing::bundle(&loaded.bundle, &deprecation)))
}

/// A flow document with its identity.
#[derive(Serialize)]
pub(super) struct FlowAnswer {
    #[serde(flatten)]
    identity: Object,
    flow: Arc<Object>,
}

impl FlowAnswer {
    /// The document of a resolved flow.
    pub(super) async fn of(
        ctx: &CallContext,
        registry: &PlaneRegistry,
        flow: &ResolvedFlow,
    ) -> ApiResult<Self> {
        let document = document(ctx, registry, flow).await?;
        Ok(Self {
            identity: identity(flow),
            flow: document,
        })
    }
}

pub(super) async fn get_bundle_flow(
    ctx: CallContext,
    Input(request): Input<FlowPath>,
) -> ApiResult<Json<FlowAnswer>> {
    let (registry, flow) = resolve(&ctx, &request).await?;
    Ok(Json(FlowAnswer::of(&ctx, &registry, &flow).await?))
}

pub(super) async fn get_bundle_flow_input_schema(
    ctx: CallContext,
    Input(request): Input<FlowPath>,
) -> ApiResult<Json<Object>> {
    let (registry, flow) = resolve(&ctx, &request).await?;
    let document = document(&ctx, &registry, &flow).await?;
    let mut answer = identity(&flow);
    answer.extend(input_schema::document(&document));
    Ok(Json(answer))
}

async fn resolve(ctx: &CallContext, request: &FlowPath) -> ApiResult<(Arc<PlaneRegistry>, ResolvedFlow)> {
    let registry = ctx.workflows().current(ctx.scope()).await?;
    let version = request.bundle_version.as_deref();
    let flow = select_flow(&registry.index, &request.bundle_id, version, &request.flow_id)?;
    Ok((registry, flow))
}

fn identity(flow: &ResolvedFlow) -> Object {
    listing::flow_identity(&flow.bundle.bundle_id, &flow.bundle.bundle_version, &flow.flow_id)
}

async fn document(
    ctx: &CallContext,
    registry: &PlaneRegistry,
    flow: &ResolvedFlow,
) -> ApiResult<Arc<Object>> {
    let loaded = load(ctx, registry, &flow.bundle).await?;
    let document = loaded.bundle.flow(&flow.flow_id).cloned();
    document.ok_or_else(|| ApiError::internal("bundle without a flow of its manifest", &flow.workflow_id()))
}

async fn load(
    ctx: &CallContext,
    registry: &PlaneRegistry,
    bundle: &ResolvedBundle,
) -> ApiResult<Arc<LoadedBundle>> {
    let entry = registry.index.get(&bundle.bundle_id, &bundle.bundle_version);
    let entry =
        entry.ok_or_else(|| ApiError::not_found(format!("Bundle '{}' not found", bundle.bundle_ref())))?;
    Ok(ctx.workflows().bundle(ctx.scope(), &entry.sha256).await?)
}

fn deprecation_of(registry: &PlaneRegistry, bundle: &str, flow: &str) -> Option<listing::Deprecation> {
    registry
        .deprecation(bundle, flow)
        .map(|found| listing::Deprecation {
            deprecated_at: found.deprecated_at.clone(),
            reason: found.reason.clone(),
        })
}
