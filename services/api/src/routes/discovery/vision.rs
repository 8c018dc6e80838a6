//! Models for pictures and videos.

use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, given, object},
    media::{IMAGES, MediaQuery, Served, served},
    remote::{Question, Remote},
};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, string},
    routes::models::ModelServices,
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
    let media = &request.media;
    if let Ok(services) = ModelServices::of(&ctx)
        && let Some(remote) = Remote::of(&ctx, &services, &headers)
    {
        let tasks = [task.as_str()];
        let mut question = media.question("v1/vision/provider_models", &tasks);
        question.query.push(("task", Some(task.clone())));
        let catalog = Catalog {
            kind: media.kind(),
            scope: "vision",
            task: Some(task.clone()),
            provider: media.provider.clone(),
            raw: object(json!({"task": task})),
            echo: object(json!({"providers_only": media.providers_only})),
            ..Catalog::default()
        };
        return Ok(remote.catalogue(question, catalog, &[]).await);
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
        kind: request.media.kind(),
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

/// Models on the disk of the host that runs them; this gateway keeps none.
pub(super) async fn list_vision_models(ctx: CallContext, headers: HeaderMap) -> Json<Value> {
    if let Ok(services) = ModelServices::of(&ctx)
        && let Some(remote) = Remote::of(&ctx, &services, &headers)
    {
        let catalog = Catalog {
            kind: "models",
            scope: "vision",
            ..Catalog::default()
        };
        let question = MediaQuery::default().question("v1/vision/models", &[]);
        return remote.catalogue(question, catalog, &[]).await;
    }
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
    base_url: Option<String>,
}

impl Request for ListAdapters {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            base_url: given(query.optional("base_url", string())),
            model: given(query.optional("model", string())),
            task: given(query.optional("task", string())),
            provider: given(query.optional("provider", string())),
        }
    }
}

pub(super) async fn list_vision_adapters(
    ctx: CallContext,
    headers: HeaderMap,
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
    let echo = request.model.clone().map(|model| object(json!({"model": model})));
    let echo = echo.unwrap_or_default();
    if let Ok(services) = ModelServices::of(&ctx)
        && let Some(remote) = Remote::of(&ctx, &services, &headers)
    {
        let question = Question {
            path: "v1/vision/adapters",
            query: vec![
                ("model", request.model),
                ("task", request.task.clone()),
                ("provider", request.provider.clone()),
            ],
            base_url: request.base_url,
            tasks: &[],
        };
        let catalog = Catalog {
            kind: "adapters",
            scope: "vision",
            task: request.task,
            provider: request.provider,
            echo,
            ..Catalog::default()
        };
        return Ok(remote.catalogue(question, catalog, &[]).await);
    }
    let raw = json!({
        "backend_id": null, "model": request.model, "provider": request.provider, "task": request.task,
        "adapters": [], "count": 0,
    });
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
