//! `prompt_cache/…`. Always 200; refusals are answers.

use ag_providers::ServiceVerb;
use ag_types::Object;
use axum::Json;
use serde_json::{Value, json};

use super::provider::{Cache, default_key, missing_key, set_default_key, stats};
use crate::{
    ApiResult, CallContext, Input,
    input::{BodyRule, Fields, Reader, Request, boolean, float, int, list, object, string},
    routes::{models::ModelServices, split},
};

const NO_CONTROL: &str = "Provider does not support prompt cache control plane";

/// Which model.
#[derive(Debug, Default)]
struct Model {
    provider: String,
    model: String,
}

impl Model {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            provider: fields.required("provider", string()),
            model: fields.required("model", string()),
        }
    }
}

/// A question about a model.
pub(super) struct Ask(Model);

impl Request for Ask {
    fn read(reader: &mut Reader) -> Self {
        Self(Model::read(&mut reader.query()))
    }
}

/// A change, with the fields of its operation.
pub(super) struct Change<const OP: usize> {
    of: Model,
    fields: Object,
}

const SET: usize = 0;
const UPDATE: usize = 1;
const FORK: usize = 2;
const CLEAR: usize = 3;
const PREPARE: usize = 4;
const SAVE: usize = 5;
const LOAD: usize = 6;

impl<const OP: usize> Request for Change<OP> {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        let of = Model::read(&mut body);
        let mut fields = Object::new();
        let mut set = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        let body = &mut body;
        match OP {
            SET => {
                set("key", Some(body.required("key", string()).into()));
                set(
                    "make_default",
                    Some(body.or("make_default", boolean(), true).into()),
                );
                set("ttl_s", body.optional("ttl_s", float()).map(Value::from));
            }
            UPDATE => {
                set("key", Some(body.required("key", string()).into()));
                set("prompt", body.optional("prompt", string()).map(Value::from));
                set(
                    "messages",
                    body.optional("messages", list(object())).map(Value::from),
                );
                set(
                    "system_prompt",
                    body.optional("system_prompt", string()).map(Value::from),
                );
                set("tools", body.optional("tools", list(object())).map(Value::from));
                let generation = body.or("add_generation_prompt", boolean(), false);
                set("add_generation_prompt", Some(generation.into()));
                set("ttl_s", body.optional("ttl_s", float()).map(Value::from));
            }
            FORK => {
                set("from_key", Some(body.required("from_key", string()).into()));
                set("to_key", Some(body.required("to_key", string()).into()));
                set(
                    "make_default",
                    Some(body.or("make_default", boolean(), false).into()),
                );
                set("ttl_s", body.optional("ttl_s", float()).map(Value::from));
            }
            CLEAR => set("key", body.optional("key", string()).map(Value::from)),
            PREPARE => {
                set("namespace", Some(body.required("namespace", string()).into()));
                set("modules", Some(body.required("modules", list(object())).into()));
                set(
                    "make_default",
                    Some(body.or("make_default", boolean(), false).into()),
                );
                set("ttl_s", body.optional("ttl_s", float()).map(Value::from));
                set("version", Some(body.or("version", int(), 1).into()));
            }
            SAVE => {
                set("name", Some(body.required("name", string()).into()));
                set("key", Some(body.required("key", string()).into()));
                set("q8", Some(body.or("q8", boolean(), false).into()));
            }
            _ => {
                set("name", Some(body.required("name", string()).into()));
                set("key", body.optional("key", string()).map(Value::from));
                set(
                    "make_default",
                    Some(body.or("make_default", boolean(), false).into()),
                );
                set(
                    "clear_existing",
                    Some(body.or("clear_existing", boolean(), false).into()),
                );
            }
        }
        Self { of, fields }
    }
}

/// In split mode the other service answers. The model is named too: it could not know which one is meant otherwise.
async fn elsewhere(
    services: &ModelServices,
    verb: ServiceVerb,
    operation: &str,
    of: &Model,
    mut fields: Object,
) -> Option<Json<Value>> {
    let service = services.split.as_ref()?;
    fields.insert("provider".to_owned(), of.provider.as_str().into());
    fields.insert("model".to_owned(), of.model.as_str().into());
    let path = format!("acore/prompt_cache/{operation}");
    Some(Json(split::ask(&**service, verb, &path, fields, operation).await))
}

pub(super) async fn prompt_cache_capabilities(
    ctx: CallContext,
    Input(Ask(of)): Input<Ask>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    if let Some(answer) = elsewhere(&services, ServiceVerb::Get, "capabilities", &of, Object::new()).await {
        return Ok(answer);
    }
    let cache = Cache::of(&ctx, &services, &of.provider).await;
    let mut answer = json!({
        "supported": cache.is_keyed(), "operation": "capabilities", "capabilities": cache.capabilities(),
    });
    if let Cache::Unusable(error) = cache {
        answer["error"] = error.into();
    }
    Ok(Json(answer))
}

pub(super) async fn prompt_cache_stats(
    ctx: CallContext,
    Input(Ask(of)): Input<Ask>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    if let Some(answer) = elsewhere(&services, ServiceVerb::Get, "stats", &of, Object::new()).await {
        return Ok(answer);
    }
    let cache = Cache::of(&ctx, &services, &of.provider).await;
    if !cache.is_keyed() {
        return Ok(Json(
            cache.refusal("stats", "Provider does not support prompt cache stats"),
        ));
    }
    let key = default_key(&ctx, &of.provider, &of.model).await?;
    Ok(Json(json!({
        "supported": true,
        "operation": "stats",
        "capabilities": cache.capabilities(),
        "stats": stats(&cache, key.as_deref()),
    })))
}

pub(super) async fn set_prompt_cache_key(
    ctx: CallContext,
    Input(Change { of, fields }): Input<Change<SET>>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    if let Some(answer) = elsewhere(&services, ServiceVerb::Post, "set", &of, fields.clone()).await {
        return Ok(answer);
    }
    let cache = Cache::of(&ctx, &services, &of.provider).await;
    if !cache.is_keyed() {
        return Ok(Json(cache.refusal("set", NO_CONTROL)));
    }
    let key = fields["key"].as_str().unwrap_or_default().trim();
    if key.is_empty() {
        return Ok(Json(json!({
            "supported": false, "operation": "set", "capabilities": cache.capabilities(),
            "code": "prompt_cache_invalid_key", "error": "Prompt cache key must be a non-empty string.",
        })));
    }
    if fields["make_default"] == true {
        set_default_key(&ctx, &of.provider, &of.model, Some(key)).await?;
    }
    Ok(Json(json!({
        "supported": true, "operation": "set", "ok": true, "capabilities": cache.capabilities(),
    })))
}

pub(super) async fn clear_prompt_cache(
    ctx: CallContext,
    Input(Change { of, fields }): Input<Change<CLEAR>>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    if let Some(answer) = elsewhere(&services, ServiceVerb::Post, "clear", &of, fields.clone()).await {
        return Ok(answer);
    }
    let cache = Cache::of(&ctx, &services, &of.provider).await;
    if !cache.is_keyed() {
        return Ok(Json(cache.refusal("clear", NO_CONTROL)));
    }
    let asked = fields.get("key").and_then(Value::as_str).map(str::trim);
    let known = default_key(&ctx, &of.provider, &of.model).await?;
    if known.is_some() && (asked.is_none() || asked == known.as_deref()) {
        set_default_key(&ctx, &of.provider, &of.model, None).await?;
    }
    Ok(Json(match asked {
        None => json!({
            "supported": true, "operation": "clear", "ok": true, "capabilities": cache.capabilities(),
        }),
        Some(key) => json!({
            "supported": false, "operation": "clear", "capabilities": cache.capabilities(),
            "code": "prompt_cache_missing_key", "error": missing_key(key),
        }),
    }))
}

pub(super) async fn update_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change<UPDATE>>,
) -> ApiResult<Json<Value>> {
    refused(&ctx, change, "update", NO_CONTROL).await
}

pub(super) async fn fork_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change<FORK>>,
) -> ApiResult<Json<Value>> {
    refused(&ctx, change, "fork", NO_CONTROL).await
}

pub(super) async fn prepare_prompt_cache_modules(
    ctx: CallContext,
    Input(change): Input<Change<PREPARE>>,
) -> ApiResult<Json<Value>> {
    let why = "Provider does not support prompt cache module preparation";
    refused(&ctx, change, "prepare_modules", why).await
}

/// No server behind HTTP does these.
async fn refused<const OP: usize>(
    ctx: &CallContext,
    change: Change<OP>,
    operation: &str,
    why: &str,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(ctx)?;
    let Change { of, fields } = change;
    if let Some(answer) = elsewhere(&services, ServiceVerb::Post, operation, &of, fields).await {
        return Ok(answer);
    }
    let cache = Cache::of(ctx, &services, &of.provider).await;
    Ok(Json(cache.refusal(operation, why)))
}

pub(super) async fn list_saved_prompt_caches(
    ctx: CallContext,
    Input(Ask(of)): Input<Ask>,
) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(&ctx)?;
    if services.split.is_some() {
        return Ok(Json(local_only("list_exports")));
    }
    let cache = Cache::of(&ctx, &services, &of.provider).await;
    // The reference names a folder of the host here; there is none.
    Ok(Json(split::facade(json!({
        "supported": true,
        "ok": true,
        "operation": "list_exports",
        "local_only": true,
        "provider": of.provider,
        "model": of.model,
        "root_dir": "prompt_cache_exports",
        "items": [],
        "capabilities": cache.capabilities(),
    }))))
}

pub(super) async fn save_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change<SAVE>>,
) -> ApiResult<Json<Value>> {
    let why = "Provider does not support host-local prompt cache export";
    transfer(&ctx, &change.of, "export", why).await
}

pub(super) async fn load_prompt_cache(
    ctx: CallContext,
    Input(change): Input<Change<LOAD>>,
) -> ApiResult<Json<Value>> {
    let why = "Provider does not support host-local prompt cache import";
    transfer(&ctx, &change.of, "import", why).await
}

async fn transfer(ctx: &CallContext, of: &Model, operation: &str, why: &str) -> ApiResult<Json<Value>> {
    let services = ModelServices::of(ctx)?;
    if services.split.is_some() {
        return Ok(Json(local_only(operation)));
    }
    let cache = Cache::of(ctx, &services, &of.provider).await;
    Ok(Json(split::facade(cache.refusal(operation, why))))
}

fn local_only(operation: &str) -> Value {
    split::facade(json!({
        "supported": false, "operation": operation, "local_only": true, "code": "prompt_cache_local_only",
        "error": "Prompt cache exports exist only where models run in the gateway's own process.",
    }))
}
