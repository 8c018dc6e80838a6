//! Compiled texts. There are none: providers behind HTTP compile nothing for us.

use ag_providers::ServiceVerb;
use axum::Json;
use serde_json::{Value, json};

use super::records::{Selector, done, elsewhere, find, refused};
use crate::{
    ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, boolean, string},
    routes::{
        models::{ModelServices, Overrides, client},
        split,
    },
};

/// A change of a compiled text.
pub(super) struct Change(Selector);

impl Request for Change {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        let mut which = Selector::read(&mut body);
        for name in [
            "force_rebuild",
            "debug",
            "make_default",
            "clear_loaded",
            "force",
            "dry_run",
        ] {
            if body.has(name) {
                let on = body.or(name, boolean(), false);
                which.given.insert(name.to_owned(), on.into());
            }
        }
        for name in ["stable_cache_key", "key"] {
            let text = body.optional(name, string());
            which
                .given
                .extend(text.map(|text| (name.to_owned(), text.into())));
        }
        Self(which)
    }
}

pub(super) async fn get_bloc_manifest(
    ctx: CallContext,
    Input(which): Input<Selector>,
) -> ApiResult<Json<Value>> {
    let path = "acore/blocs/kv/manifest";
    if let Some(answer) = elsewhere(&ctx, ServiceVerb::Get, path, &which.given, "kv_manifest").await? {
        return Ok(answer);
    }
    if which.is_empty() {
        return Ok(refused(
            "kv_manifest",
            "invalid_request",
            "provide sha256 or bloc_id",
        ));
    }
    // A text without compiled form is answered by its hash, like one that is not there.
    let error = match find(&ctx, &which).await? {
        Some(record) => format!(
            "bloc not found for sha256={}",
            record["sha256"].as_str().unwrap_or_default()
        ),
        None => which.not_found(),
    };
    Ok(refused("kv_manifest", "not_found", &error))
}

pub(super) async fn list_bloc_artifacts(
    ctx: CallContext,
    Input(which): Input<Selector>,
) -> ApiResult<Json<Value>> {
    let path = "acore/blocs/kv/list";
    if let Some(answer) = elsewhere(&ctx, ServiceVerb::Get, path, &which.given, "kv_list").await? {
        return Ok(answer);
    }
    Ok(done("kv_list", json!({"artifacts": []})))
}

pub(super) async fn ensure_bloc(
    ctx: CallContext,
    Input(Change(which)): Input<Change>,
) -> ApiResult<Json<Value>> {
    let why = "Bloc KV compilation requires prompt-cache operation(s): update, save";
    compiled(&ctx, which, "kv_ensure", "acore/blocs/kv/ensure", why).await
}

pub(super) async fn load_bloc(
    ctx: CallContext,
    Input(Change(which)): Input<Change>,
) -> ApiResult<Json<Value>> {
    let why = "Bloc KV loading requires prompt-cache operation(s): load";
    compiled(&ctx, which, "kv_load", "acore/blocs/kv/load", why).await
}

async fn compiled(
    ctx: &CallContext,
    which: Selector,
    operation: &str,
    path: &str,
    why: &str,
) -> ApiResult<Json<Value>> {
    if let Some(answer) = elsewhere(ctx, ServiceVerb::Post, path, &which.given, operation).await? {
        return Ok(answer);
    }
    if which.is_empty() {
        return Ok(refused(operation, "invalid_request", "provide sha256 or bloc_id"));
    }
    if find(ctx, &which).await?.is_none() {
        return Ok(refused(operation, "not_found", &which.not_found()));
    }
    let services = ModelServices::of(ctx)?;
    let provider = match &which.provider {
        Some(provider) => provider.clone(),
        None => {
            let found = services.resolver.routes().text(ctx.scope()).await?;
            found.and_then(|found| found.route.provider).unwrap_or_default()
        }
    };
    let error = match client(ctx, &services, &provider, &Overrides::default()).await {
        Ok(_) => format!("{why} (provider={provider})."),
        Err(error) => error.to_string(),
    };
    Ok(Json(split::facade(json!({
        "ok": false, "operation": operation, "code": "bloc_error", "error": error, "supported": true,
        "capabilities": {"supports_update": false, "supports_save": false, "supports_load": false},
    }))))
}

pub(super) async fn delete_bloc_artifact(
    ctx: CallContext,
    Input(Change(which)): Input<Change>,
) -> ApiResult<Json<Value>> {
    let path = "acore/blocs/kv/delete";
    if let Some(answer) = elsewhere(&ctx, ServiceVerb::Post, path, &which.given, "kv_delete").await? {
        return Ok(answer);
    }
    Ok(refused("kv_delete", "not_found", &which.not_found()))
}

pub(super) async fn prune_blocs(
    ctx: CallContext,
    Input(Change(which)): Input<Change>,
) -> ApiResult<Json<Value>> {
    let path = "acore/blocs/kv/prune";
    if let Some(answer) = elsewhere(&ctx, ServiceVerb::Post, path, &which.given, "kv_prune").await? {
        return Ok(answer);
    }
    Ok(done("kv_prune", json!({"results": []})))
}
