//! `GET /discovery/models/capabilities`: what the table knows about a model; nobody is asked.

use axum::Json;
use serde::Serialize;
use serde_json::Value;

use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request, string},
    routes::models::ModelServices,
};

/// Which model.
pub(super) struct ModelName(String);

impl Request for ModelName {
    fn read(reader: &mut Reader) -> Self {
        Self(reader.query().required("model_name", string()))
    }
}

#[derive(Serialize)]
pub(super) struct Capabilities {
    model: String,
    capabilities: Value,
    available: bool,
    route_available: bool,
    source: &'static str,
    stale: bool,
    refreshed_at: String,
    error: Option<String>,
}

pub(super) async fn get_model_capabilities(
    ctx: CallContext,
    Input(ModelName(model)): Input<ModelName>,
) -> ApiResult<Json<Capabilities>> {
    let services = ModelServices::of(&ctx)?;
    let capabilities = services.table().lookup(&model).to_value();
    Ok(Json(Capabilities {
        model,
        capabilities,
        available: true,
        route_available: true,
        source: "abstractcore.local",
        stale: false,
        refreshed_at: ctx.now().to_seconds_text().replace("+00:00", "Z"),
        error: None,
    }))
}
