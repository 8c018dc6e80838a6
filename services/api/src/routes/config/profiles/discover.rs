//! `discover-models`: what a server offers, before or after its connection is stored.

use ag_effects::routes::plane_name;
use ag_providers::{EndpointOrigin, ProviderClient, ProviderError, ProviderQuery};
use axum::Json;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use super::{Found, Profile, ProfileScope, bare_id, find};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, string},
    routes::models::{ListingLimits, ModelServices, model_names, origin_of},
};

/// Which server.
pub(in crate::routes) struct DiscoverModels {
    profile_id: Option<String>,
    provider_family: String,
    base_url: Option<String>,
    api_key: Option<SecretString>,
}

impl Request for DiscoverModels {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        let text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Self {
            profile_id: text(body.optional("profile_id", string().max_len(96))),
            provider_family: body
                .optional("provider_family", string().min_len(1).max_len(80))
                .unwrap_or_else(|| "openai-compatible".to_owned()),
            base_url: text(body.optional("base_url", string().max_len(2048))),
            api_key: text(body.optional("api_key", string().max_len(65_536))).map(SecretString::from),
        }
    }
}

#[derive(Serialize)]
pub(in crate::routes) struct Discovered {
    ok: bool,
    provider: String,
    models: Vec<String>,
    available: bool,
    route_available: bool,
    source: &'static str,
    base_url_configured: bool,
    api_key_set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_endpoint_profile: Option<Value>,
    upstream_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(in crate::routes) async fn discover_endpoint_models(
    ctx: CallContext,
    Input(request): Input<DiscoverModels>,
) -> ApiResult<Json<Discovered>> {
    let services = ModelServices::of(&ctx)?;
    let found = match request.profile_id.as_deref().map(bare_id) {
        None => None,
        Some(id) => {
            let found = find(ctx.store(), ctx.scope(), id).await?;
            let found = found.filter(|found| found.profile.enabled);
            Some(found.ok_or_else(|| ApiError::bad_request("Endpoint profile not found"))?)
        }
    };
    let profile = found.as_ref().map(|found| &found.profile);
    let provider = profile.map_or_else(
        || request.provider_family.trim().to_owned(),
        |found| found.provider(),
    );
    let key_given = request
        .api_key
        .as_ref()
        .is_some_and(|key| !key.expose_secret().is_empty());
    let url_given = request.base_url.is_some();
    let shared = profile.is_some_and(|profile| profile.scope == ProfileScope::Gateway);
    let listed = if url_given && shared && !key_given && origin_of(&ctx) == EndpointOrigin::User {
        // The key of a shared connection goes only where its admin pointed it.
        Err("base_url of a shared connection can only be replaced together with api_key".to_owned())
    } else {
        match resolve(&ctx, &services, &provider, found.as_ref(), &request).await {
            Ok(client) => model_names(&client, ListingLimits::of(&ctx).models).await,
            Err(error) => Err(error.to_string()),
        }
    };
    let (models, error) = match listed {
        Ok(models) => (models, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Ok(Json(Discovered {
        ok: error.is_none(),
        available: error.is_none(),
        models,
        route_available: true,
        source: "abstractgateway.provider_endpoint_profiles",
        base_url_configured: url_given || profile.is_some_and(|profile| profile.base_url.is_some()),
        api_key_set: key_given || profile.is_some_and(Profile::has_key),
        provider_endpoint_profile: profile.map(Profile::public),
        upstream_source: "abstractcore.local",
        provider,
        error,
    }))
}

async fn resolve(
    ctx: &CallContext,
    services: &ModelServices,
    provider: &str,
    found: Option<&Found>,
    request: &DiscoverModels,
) -> Result<ProviderClient, ProviderError> {
    let plane = plane_name(ctx.scope());
    let mut api_key = request.api_key.clone();
    // Connections bring their own address; another one beside it makes a query for the family with the stored key.
    let provider = match found.filter(|_| request.base_url.is_some()) {
        None => provider,
        Some(Found { profile, home, .. }) => {
            let context = Profile::seal_context(home, &profile.id);
            let stored = || {
                services
                    .secrets
                    .as_ref()?
                    .open(profile.sealed_api_key.as_ref()?, &context)
                    .ok()
            };
            api_key = api_key.or_else(stored);
            &profile.provider_family
        }
    };
    let query = ProviderQuery {
        base_url: request.base_url.as_deref(),
        api_key,
        origin: origin_of(ctx),
        ..ProviderQuery::new(&plane, provider)
    };
    services.directory().resolve(query).await
}
