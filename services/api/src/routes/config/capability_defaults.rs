//! `config/capability-defaults`.

use ag_effects::routes::RouteError;
use ag_types::Object;
use axum::Json;
use http::StatusCode;
use serde_json::Value;

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, object, string},
    routes::models::ModelServices,
};

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::UnknownKey { .. } => Self::bad_request(error.to_string()),
            RouteError::Upstream(text) => Self::new(StatusCode::BAD_GATEWAY, text),
            RouteError::Store(error) => error.into(),
        }
    }
}

pub(super) async fn get_capability_defaults(ctx: CallContext) -> ApiResult<Json<Value>> {
    Ok(Json(
        ModelServices::of(&ctx)?
            .resolver
            .routes()
            .rows(ctx.scope())
            .await?,
    ))
}

/// `kind.modality` or `kind.modality.task`.
fn key(reader: &mut Reader, with_task: bool) -> String {
    let mut path = reader.path();
    let mut key = format!(
        "{}.{}",
        path.required("kind", string()).trim(),
        path.required("modality", string()).trim()
    );
    if with_task {
        key.push('.');
        key.push_str(path.required("task", string()).trim());
    }
    key
}

/// A default and its key.
pub(super) struct SetDefault<const TASK: bool> {
    key: String,
    body: Object,
}

impl<const TASK: bool> Request for SetDefault<TASK> {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let key = key(reader, TASK);
        let mut fields = reader.body();
        let mut body = Object::new();
        for name in ["provider", "model", "base_url"] {
            if let Some(text) = fields.optional(name, string()) {
                body.insert(name.to_owned(), text.into());
            }
        }
        if let Some(options) = fields.optional("options", object()) {
            body.insert("options".to_owned(), options.into());
        }
        Self { key, body }
    }
}

/// The key of a default.
pub(super) struct ClearDefault<const TASK: bool>(String);

impl<const TASK: bool> Request for ClearDefault<TASK> {
    fn read(reader: &mut Reader) -> Self {
        Self(key(reader, TASK))
    }
}

pub(super) async fn set_capability_default(
    ctx: CallContext,
    Input(request): Input<SetDefault<false>>,
) -> ApiResult<Json<Value>> {
    set(ctx, &request.key, request.body).await
}

pub(super) async fn set_capability_task_default(
    ctx: CallContext,
    Input(request): Input<SetDefault<true>>,
) -> ApiResult<Json<Value>> {
    set(ctx, &request.key, request.body).await
}

pub(super) async fn clear_capability_default(
    ctx: CallContext,
    Input(ClearDefault(key)): Input<ClearDefault<false>>,
) -> ApiResult<Json<Value>> {
    clear(ctx, &key).await
}

pub(super) async fn clear_capability_task_default(
    ctx: CallContext,
    Input(ClearDefault(key)): Input<ClearDefault<true>>,
) -> ApiResult<Json<Value>> {
    clear(ctx, &key).await
}

async fn set(ctx: CallContext, key: &str, body: Object) -> ApiResult<Json<Value>> {
    ModelServices::of(&ctx)?
        .resolver
        .routes()
        .set(ctx.scope(), key, &Value::Object(body))
        .await?;
    get_capability_defaults(ctx).await
}

async fn clear(ctx: CallContext, key: &str) -> ApiResult<Json<Value>> {
    ModelServices::of(&ctx)?
        .resolver
        .routes()
        .clear(ctx.scope(), key)
        .await?;
    get_capability_defaults(ctx).await
}
