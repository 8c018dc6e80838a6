//! `GET /discovery/capabilities`: the contract that the web clients read their paths from.
//!
//! `assets/capabilities.json` holds structure, paths and constants; `{"$copy": "<pointer>"}` stands for a copy of
//! another part. This module fills in what depends on the node and the caller. An endpoint that this build does not
//! serve is never announced as available, whatever the template says.

mod template;

use ag_effects::routes::FoundRoute;
use ag_store::StoreError;
use axum::Json;
use serde_json::{Value, json};

use super::tools;
use crate::{
    ApiResult, CallContext,
    routes::{FAMILIES, models::ModelServices},
};
use template::{Caller, Facts, Voice};

/// Largest picture of a media answer, in bytes.
const DEFAULT_IMAGE_BYTES: u64 = 20_000_000;

pub(super) async fn get_capabilities(ctx: CallContext) -> ApiResult<Json<Value>> {
    let config = ctx.state().config();
    let providers = &config.providers;
    let services = ModelServices::of(&ctx).ok();
    let any_set = |names: &[&str]| names.iter().any(|name| providers.is_set(name));
    let openai = any_set(&["OPENAI_BASE_URL", "OPENAI_API_KEY"]);
    let mut routed = [false; 4];
    let split = services.as_ref().is_some_and(|services| services.split.is_some());
    let mut embedding = None;
    if let Some(services) = &services {
        let routes = services.resolver.routes();
        for (found, key) in
            routed
                .iter_mut()
                .zip(["output.voice", "input.voice", "output.image", "output.music"])
        {
            *found = readable(split, routes.route(ctx.scope(), key).await)?.is_some();
        }
        let found = readable(split, routes.route(ctx.scope(), "embedding.text").await)?;
        embedding = found.map(|found| {
            json!({
                "key": "embedding.text",
                "provider": found.route.provider,
                "model": found.route.model,
                "authority": if ctx.state().users_mode() { "abstractcore.gateway_runtime" } else { "abstractcore.local" },
            })
        });
    }
    let hosted = services.is_some();
    let model = |names: &[&str]| providers.first(names).map(str::to_owned);
    let image_bytes = providers
        .get("ABSTRACTGATEWAY_IMAGE_MAX_BYTES")
        .and_then(|text| text.trim().parse().ok());
    let facts = Facts {
        caller: if ctx.principal().is_admin() {
            Caller::Admin
        } else {
            Caller::User
        },
        served: &|endpoint| {
            FAMILIES
                .iter()
                .flat_map(|family| family.operations)
                .any(|operation| operation.path == endpoint)
        },
        tools: tools::items(ctx.state()).len(),
        attachment_bytes: config.limits.attachment_bytes(),
        image_bytes: image_bytes.unwrap_or(DEFAULT_IMAGE_BYTES),
        tts: Voice {
            configured: hosted && (routed[0] || openai || any_set(TTS_CONFIGURED)),
            active_model: model(&[
                "ABSTRACTGATEWAY_VOICE_TTS_MODEL",
                "ABSTRACTVOICE_TTS_MODEL",
                "ABSTRACTVOICE_OPENAI_TTS_MODEL",
                "ABSTRACTVOICE_OPENAI_COMPATIBLE_TTS_MODEL",
                "ABSTRACTVOICE_REMOTE_TTS_MODEL",
            ]),
        },
        stt: Voice {
            configured: hosted && (routed[1] || openai || any_set(STT_CONFIGURED)),
            active_model: model(&[
                "ABSTRACTGATEWAY_VOICE_STT_MODEL",
                "ABSTRACTVOICE_STT_MODEL",
                "ABSTRACTVOICE_OPENAI_STT_MODEL",
                "ABSTRACTVOICE_OPENAI_COMPATIBLE_STT_MODEL",
                "ABSTRACTVOICE_REMOTE_STT_MODEL",
            ]),
        },
        images: hosted
            && (routed[2]
                || openai
                || split
                || any_set(&["ABSTRACTVISION_BASE_URL", "ABSTRACTVISION_API_KEY"])),
        // Of the servers that a gateway knows only the one of split mode makes these.
        videos: split,
        music: hosted && (split || routed[3] || any_set(&["ACEMUSIC_API_KEY"])),
        embedding,
    };
    Ok(Json(json!({"capabilities": template::fill(&facts)})))
}

/// The description never fails: defaults that another service keeps, and that cannot be read now, are none.
fn readable(
    split: bool,
    found: Result<Option<FoundRoute>, StoreError>,
) -> Result<Option<FoundRoute>, StoreError> {
    match found {
        Err(error) if split => {
            tracing::warn!(%error, "capability defaults are not readable");
            Ok(None)
        }
        found => found,
    }
}

const TTS_CONFIGURED: &[&str] = &[
    "ABSTRACTGATEWAY_VOICE_TTS_ENGINE",
    "ABSTRACTVOICE_TTS_ENGINE",
    "ABSTRACTGATEWAY_VOICE_REMOTE_BASE_URL",
    "ABSTRACTVOICE_REMOTE_BASE_URL",
    "ABSTRACTCORE_SERVER_BASE_URL",
];
const STT_CONFIGURED: &[&str] = &[
    "ABSTRACTGATEWAY_VOICE_STT_ENGINE",
    "ABSTRACTVOICE_STT_ENGINE",
    "ABSTRACTGATEWAY_VOICE_REMOTE_BASE_URL",
    "ABSTRACTVOICE_REMOTE_BASE_URL",
    "ABSTRACTCORE_SERVER_BASE_URL",
];
