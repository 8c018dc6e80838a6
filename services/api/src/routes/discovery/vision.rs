//! Models for pictures and videos.

use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, given, object},
    media::{IMAGES, MediaQuery, Served, served},
};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, string},
};

const UPSTREAM: &str = "abstractvision.local";
const TASKS: [&str; 5] = [
    "text_to_image",
    "image_to_image",
    "image_upscale",
    "text_to_video",
    "image_to_video",
];

/// Query of the provider models.
pub(super) struct ListVisionModels {
    task: Option<String>,
    media: MediaQuery,
}

impl Request for ListVisionModels {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            task: given(query.optional("task", string())),
            media: MediaQuery::read(&mut query),
        }
    }
}

pub(super) async fn list_vision_provider_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListVisionModels>,
) -> ApiResult<Json<Value>> {
    let task = request.task.unwrap_or_else(|| TASKS[0].to_owned());
    if !TASKS.contains(&task.as_str()) {
        return Err(ApiError::bad_request(format!(
            "task must be one of: {}",
            TASKS.join(", ")
        )));
    }
    // OpenAI's wire makes and edits pictures; nothing here upscales them or makes videos.
    let images = match IMAGES.tasks.contains(&task.as_str()) {
        true => served(&ctx, &headers, &IMAGES, &request.media).await?,
        false => Served::default(),
    };
    let available = !images.providers.is_empty();
    let details: ag_types::Object = images
        .names()
        .into_iter()
        .map(|name| {
            let detail = json!({
                "id": name, "provider": name, "installed": true, "weights_present": null,
                "remote": true, "local": false, "reachable": true,
            });
            (name.to_owned(), detail)
        })
        .collect();
    let raw = object(json!({
        "task": task,
        "models": images.models(),
        "providers": images.names(),
        "available_providers": images.names(),
        "models_by_provider": images.by_provider(),
        "provider_models": images.pairs(),
        "details": details,
        "backend_id": images.active_provider,
    }));
    let catalog = Catalog {
        kind: if request.media.providers_only {
            "providers"
        } else {
            "models"
        },
        scope: "vision",
        upstream: UPSTREAM,
        available,
        error: (!available).then(|| format!("No configured provider serves {task}")),
        task: Some(task),
        items: images.items(request.media.providers_only),
        echo: object(json!({"providers_only": request.media.providers_only})),
        provider: request.media.provider,
        raw,
    };
    Ok(Json(catalog.answer(ctx.now())))
}

/// Models on the disk of the host; this gateway keeps none.
pub(super) async fn list_vision_models(ctx: CallContext) -> Json<Value> {
    let raw = json!({
        "models": [], "registry_available": false, "registry_total": 0, "cached_total": 0, "cache_dirs": [],
        "task": null,
    });
    let catalog = Catalog {
        kind: "models",
        scope: "vision",
        upstream: "abstractvision.local_cache",
        error: Some("No local image models are kept on this gateway".to_owned()),
        raw: object(raw),
        ..Catalog::default()
    };
    Json(catalog.answer(ctx.now()))
}

/// Query of the adapters.
pub(super) struct ListAdapters {
    model: Option<String>,
    task: Option<String>,
    provider: Option<String>,
}

impl Request for ListAdapters {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        query.optional("base_url", string());
        Self {
            model: given(query.optional("model", string())),
            task: given(query.optional("task", string())),
            provider: given(query.optional("provider", string())),
        }
    }
}

pub(super) async fn list_vision_adapters(
    ctx: CallContext,
    Input(request): Input<ListAdapters>,
) -> ApiResult<Json<Value>> {
    let allowed: Vec<&str> = TASKS
        .into_iter()
        .filter(|task| *task != "image_upscale")
        .collect();
    if let Some(task) = request.task.as_deref().filter(|task| !allowed.contains(task)) {
        tracing::debug!(task, "adapters of an unknown task");
        return Err(ApiError::bad_request(format!(
            "task must be one of: {}",
            allowed.join(", ")
        )));
    }
    let raw = json!({
        "backend_id": null, "model": request.model, "provider": request.provider, "task": request.task,
        "adapters": [], "count": 0,
    });
    let echo = request
        .model
        .map(|model| object(json!({"model": model})))
        .unwrap_or_default();
    let catalog = Catalog {
        kind: "adapters",
        scope: "vision",
        upstream: UPSTREAM,
        error: Some("No configured provider serves adapters".to_owned()),
        task: request.task,
        provider: request.provider,
        raw: object(raw),
        echo,
        ..Catalog::default()
    };
    Ok(Json(catalog.answer(ctx.now())))
}
