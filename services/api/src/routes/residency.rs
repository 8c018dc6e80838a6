//! `models/…`: what model servers have in memory, for operators. Failures are answers.

use ag_effects::model_residency::{ModelResidency, Operation};
use ag_providers::ServiceVerb;
use ag_types::Object;
use axum::Json;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{models::ModelServices, split};
use crate::{
    ApiResult, CallContext, Input,
    input::{BodyRule, Fields, Reader, Request, boolean, float, object, string},
    operation::ops,
};

ops! {
    /// Residency of models.
    pub(super) const MODELS: "model-residency" = {
        GET "/api/gateway/models/loaded" list_loaded_models "Lists models in memory.";
        POST "/api/gateway/models/load" load_model "Loads a model.";
        POST "/api/gateway/models/unload" unload_model "Unloads a model.";
    }
}

fn texts(fields: &mut Fields<'_>, names: &[&'static str], into: &mut Object) {
    for name in names {
        let text = fields
            .optional(name, string())
            .filter(|text| !text.trim().is_empty());
        into.extend(text.map(|text| ((*name).to_owned(), text.into())));
    }
}

fn tail(fields: &mut Fields<'_>, into: &mut Object) {
    into.extend(
        fields
            .optional("options", object())
            .map(|options| ("options".to_owned(), options.into())),
    );
    texts(fields, &["base_url"], into);
    into.extend(
        fields
            .optional("timeout_s", float())
            .map(|seconds| ("timeout_s".to_owned(), seconds.into())),
    );
}

/// What to list.
struct ListLoaded(Object);

impl Request for ListLoaded {
    fn read(reader: &mut Reader) -> Self {
        let mut given = Object::new();
        texts(
            &mut reader.query(),
            &["task", "provider", "model", "base_url"],
            &mut given,
        );
        Self(given)
    }
}

/// What to load.
struct Load(Object);

impl Request for Load {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let (mut body, mut given) = (reader.body(), Object::new());
        texts(&mut body, &["task", "provider", "model"], &mut given);
        let pin = body.or("pin", boolean(), true);
        given.insert("pin".to_owned(), pin.into());
        tail(&mut body, &mut given);
        Self(given)
    }
}

/// What to unload.
struct Unload(Object);

impl Request for Unload {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let (mut body, mut given) = (reader.body(), Object::new());
        texts(
            &mut body,
            &["task", "runtime_id", "provider", "model"],
            &mut given,
        );
        tail(&mut body, &mut given);
        Self(given)
    }
}

async fn list_loaded_models(
    ctx: CallContext,
    Input(ListLoaded(given)): Input<ListLoaded>,
) -> ApiResult<Json<Value>> {
    answer(&ctx, Operation::List, given).await
}

async fn load_model(ctx: CallContext, Input(Load(given)): Input<Load>) -> ApiResult<Json<Value>> {
    answer(&ctx, Operation::Load, given).await
}

async fn unload_model(ctx: CallContext, Input(Unload(given)): Input<Unload>) -> ApiResult<Json<Value>> {
    answer(&ctx, Operation::Unload, given).await
}

async fn answer(ctx: &CallContext, operation: Operation, given: Object) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(ctx)?;
    let answer = match &services.split {
        Some(service) => {
            let (verb, path) = match operation {
                Operation::List => (ServiceVerb::Get, "acore/models/loaded"),
                Operation::Load => (ServiceVerb::Post, "acore/models/load"),
                Operation::Unload => (ServiceVerb::Post, "acore/models/unload"),
            };
            split::ask(&**service, verb, path, given, operation.name()).await
        }
        None => {
            let residency = ModelResidency::new(services.resolver.clone());
            let cancel = CancellationToken::new();
            residency.answer(ctx.scope(), operation, given, &cancel).await
        }
    };
    Ok(Json(split::facade(answer)))
}

#[cfg(test)]
mod tests;
