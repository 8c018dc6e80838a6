//! Listing, storing, changing and deleting connections.

use ag_store::{DocumentKind, PutMode};
use ag_types::TenantScope;
use axum::Json;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::{Found, Profile, ProfileScope, bare_id, environment, find, put_over, row, visible};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, boolean, list, string},
    routes::models::ModelServices,
};

const BAD_ID: &str = "Endpoint profile id must start with a letter or number and contain only letters, numbers, dot, dash, or underscore.";
const BAD_URL: &str = "Base URL must be an http(s) URL.";
const BAD_SCOPE: &str = "Endpoint profile scope must be 'user' or 'gateway'.";
const NUL_IN_KEY: &str = "API key must not contain NUL characters.";
const ADMINS_ONLY: &str = "Admin principal required for gateway-scoped endpoint profiles";
const KEEPS_CHANGING: &str = "The endpoint profile was changed by others at the same time; try again.";
/// Attempts for a connection that others change at the same time.
const ATTEMPTS: usize = 5;
const NOT_FOUND: &str = "Endpoint profile not found";
/// Plaintext keys never reach the database (architecture D15).
const NO_ENCRYPTION: &str = "Storing provider keys needs encryption at rest, which is not configured on this gateway. Set the key in the environment of the gateway instead, or store the connection without a key.";

#[derive(Serialize)]
pub(in crate::routes) struct Profiles {
    ok: bool,
    profiles: Vec<Value>,
    can_create_gateway_scope: bool,
    source: &'static str,
}

pub(in crate::routes) async fn list_endpoint_profiles(ctx: CallContext) -> ApiResult<Json<Profiles>> {
    Ok(Json(Profiles {
        ok: true,
        profiles: all(&ctx).await?,
        can_create_gateway_scope: ctx.principal().is_admin(),
        source: "abstractgateway.provider_endpoint_profiles",
    }))
}

async fn all(ctx: &CallContext) -> ApiResult<Vec<Value>> {
    let mut rows: Vec<Value> = visible(ctx).await?.iter().map(Profile::public).collect();
    rows.extend(environment::rows(ctx));
    Ok(rows)
}

/// The answer of a change.
#[derive(Serialize)]
pub(in crate::routes) struct Saved {
    ok: bool,
    profile: Value,
    profiles: Vec<Value>,
}

/// Values to store; `None` = not given.
#[derive(Clone)]
struct Members {
    display_name: Option<String>,
    description: Option<String>,
    provider_family: Option<String>,
    base_url: Option<String>,
    api_key: Option<SecretString>,
    clear_api_key: bool,
    scope: Option<String>,
    capabilities: Option<Vec<String>>,
    allowed_models: Option<Vec<String>>,
    enabled: Option<bool>,
}

/// A connection to store.
pub(in crate::routes) struct SaveProfile {
    id: String,
    members: Members,
}

impl Request for SaveProfile {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        let id = body.required("id", string().min_len(1).max_len(80));
        let display_name = body.required("display_name", string().min_len(1).max_len(120));
        let family = string().min_len(1).max_len(80);
        Self {
            id,
            members: Members {
                display_name: Some(display_name),
                description: Some(
                    body.optional("description", string().max_len(1000))
                        .unwrap_or_default(),
                ),
                provider_family: Some(body.or("provider_family", family, "openai-compatible".to_owned())),
                base_url: Some(
                    body.optional("base_url", string().max_len(2048))
                        .unwrap_or_default(),
                ),
                api_key: body
                    .optional("api_key", string().max_len(65_536))
                    .map(SecretString::from),
                clear_api_key: false,
                scope: Some(body.or("scope", string(), "user".to_owned())),
                capabilities: Some(body.or("capabilities", list(string()), vec!["text".to_owned()])),
                allowed_models: Some(body.or_default("allowed_models", list(string()))),
                enabled: Some(body.or("enabled", boolean(), true)),
            },
        }
    }
}

pub(in crate::routes) async fn save_endpoint_profile(
    ctx: CallContext,
    Input(request): Input<SaveProfile>,
) -> ApiResult<Json<Saved>> {
    let id = checked_id(&request.id)?;
    let scope = checked_scope(request.members.scope.as_deref())?.unwrap_or_default();
    let home = home(&ctx, scope);
    for _ in 0..ATTEMPTS {
        let existing = find(ctx.store(), &home, id)
            .await?
            .filter(|found| found.home == home);
        if let Some(profile) = save(&ctx, id, existing, request.members.clone()).await? {
            return saved(&ctx, &profile).await;
        }
    }
    Err(ApiError::conflict(KEEPS_CHANGING))
}

/// Members to change.
pub(in crate::routes) struct UpdateProfile {
    profile_id: String,
    members: Members,
}

impl Request for UpdateProfile {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let profile_id = reader.path().required("profile_id", string());
        let mut body = reader.strict_body();
        Self {
            profile_id,
            members: Members {
                display_name: body.optional("display_name", string().min_len(1).max_len(120)),
                description: body.optional("description", string().max_len(1000)),
                provider_family: body.optional("provider_family", string().min_len(1).max_len(80)),
                base_url: body.optional("base_url", string().max_len(2048)),
                api_key: body
                    .optional("api_key", string().max_len(65_536))
                    .map(SecretString::from),
                clear_api_key: body.or("clear_api_key", boolean(), false),
                scope: body.optional("scope", string()),
                capabilities: body.optional("capabilities", list(string())),
                allowed_models: body.optional("allowed_models", list(string())),
                enabled: body.optional("enabled", boolean()),
            },
        }
    }
}

pub(in crate::routes) async fn update_endpoint_profile(
    ctx: CallContext,
    Input(request): Input<UpdateProfile>,
) -> ApiResult<Json<Saved>> {
    let id = checked_id(&request.profile_id)?;
    for _ in 0..ATTEMPTS {
        // A disabled connection can be changed too, or nobody could enable it again.
        let found = find(ctx.store(), ctx.scope(), id)
            .await?
            .ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
        if let Some(profile) = save(&ctx, id, Some(found), request.members.clone()).await? {
            return saved(&ctx, &profile).await;
        }
    }
    Err(ApiError::conflict(KEEPS_CHANGING))
}

async fn saved(ctx: &CallContext, profile: &Profile) -> ApiResult<Json<Saved>> {
    Ok(Json(Saved {
        ok: true,
        profile: profile.public(),
        profiles: all(ctx).await?,
    }))
}

/// The connection as it is now, or `None` where the one that was read has changed meanwhile and nothing was written.
async fn save(
    ctx: &CallContext,
    id: &str,
    existing: Option<Found>,
    members: Members,
) -> ApiResult<Option<Profile>> {
    let before = existing.as_ref().map(|found| found.profile.clone());
    let scope = checked_scope(members.scope.as_deref())?;
    let scope = scope
        .or(before.as_ref().map(|profile| profile.scope))
        .unwrap_or_default();
    require_admin_for(ctx, scope)?;
    if let Some(before) = &before {
        require_admin_for(ctx, before.scope)?;
    }
    let home = home(ctx, scope);
    let now = ctx.now().to_zulu_text();
    let mut profile = before.unwrap_or_else(|| Profile {
        id: id.to_owned(),
        display_name: id.to_owned(),
        description: String::new(),
        provider_family: "openai-compatible".to_owned(),
        base_url: None,
        scope,
        capabilities: Vec::new(),
        allowed_models: Vec::new(),
        enabled: true,
        created_at: now.clone(),
        updated_at: now.clone(),
        sealed_api_key: None,
        api_key_fingerprint: String::new(),
    });
    profile.scope = scope;
    profile.updated_at = now;
    let trimmed = |text: String| text.trim().to_owned();
    profile.display_name = members.display_name.map(trimmed).unwrap_or(profile.display_name);
    profile.description = members.description.map(trimmed).unwrap_or(profile.description);
    profile.provider_family = members
        .provider_family
        .map(trimmed)
        .unwrap_or(profile.provider_family);
    profile.enabled = members.enabled.unwrap_or(profile.enabled);
    if let Some(url) = members.base_url {
        profile.base_url = checked_url(&url)?;
    }
    if let Some(models) = members.allowed_models {
        profile.allowed_models = filled(models);
    }
    if let Some(capabilities) = members.capabilities {
        profile.capabilities = filled(capabilities);
    }
    if profile.capabilities.is_empty() {
        profile.capabilities = vec!["text".to_owned()];
    }
    let moved = existing.as_ref().filter(|found| found.home != home);
    if moved.is_some() && profile.has_key() && members.api_key.is_none() && !members.clear_api_key {
        // A sealed key is bound to its row; it does not follow into another plane.
        return Err(ApiError::bad_request(
            "Changing the scope of a connection needs its api_key again",
        ));
    }
    if members.clear_api_key {
        profile.set_key(None);
    } else if let Some(key) = members.api_key {
        store_key(ctx, &mut profile, &home, &key)?;
    }
    let row = row(&profile, ctx.now())?;
    let store = ctx.store();
    if let Some(moved) = moved {
        store
            .put_document(&home, DocumentKind::EndpointProfile, row, PutMode::Upsert)
            .await?;
        store
            .delete_document(&moved.home, DocumentKind::EndpointProfile, id)
            .await?;
    } else {
        let read = existing.as_ref().map(|found| found.body.as_str());
        if !put_over(store, &home, read, row).await? {
            return Ok(None);
        }
    }
    Ok(Some(profile))
}

fn store_key(
    ctx: &CallContext,
    profile: &mut Profile,
    home: &TenantScope,
    key: &SecretString,
) -> ApiResult<()> {
    use secrecy::ExposeSecret as _;
    let text = key.expose_secret();
    if text.contains('\0') {
        return Err(ApiError::bad_request(NUL_IN_KEY));
    }
    if text.trim().is_empty() {
        return Ok(());
    }
    let secrets = ctx
        .state()
        .extension::<ModelServices>()
        .and_then(|services| services.secrets.clone());
    let secrets = secrets.ok_or_else(|| ApiError::not_implemented(NO_ENCRYPTION))?;
    let sealed = secrets.seal(key, &Profile::seal_context(home, &profile.id));
    let sealed = sealed.map_err(|error| ApiError::internal("sealing a key", &error))?;
    profile.set_key(Some((sealed, key)));
    Ok(())
}

/// Which connection.
pub(in crate::routes) struct ProfilePath(String);

impl Request for ProfilePath {
    fn read(reader: &mut Reader) -> Self {
        Self(reader.path().required("profile_id", string()))
    }
}

#[derive(Serialize)]
pub(in crate::routes) struct Deleted {
    ok: bool,
    deleted: bool,
    profiles: Vec<Value>,
}

pub(in crate::routes) async fn delete_endpoint_profile(
    ctx: CallContext,
    Input(ProfilePath(id)): Input<ProfilePath>,
) -> ApiResult<Json<Deleted>> {
    let id = checked_id(&id)?;
    let found = find(ctx.store(), ctx.scope(), id)
        .await?
        .ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
    require_admin_for(&ctx, found.profile.scope)?;
    let deleted = ctx
        .store()
        .delete_document(&found.home, DocumentKind::EndpointProfile, id)
        .await?;
    Ok(Json(Deleted {
        ok: true,
        deleted,
        profiles: all(&ctx).await?,
    }))
}

/// The plane whose row a connection is.
fn home(ctx: &CallContext, scope: ProfileScope) -> TenantScope {
    match scope {
        ProfileScope::User => ctx.scope().clone(),
        ProfileScope::Gateway => TenantScope::root(),
    }
}

fn require_admin_for(ctx: &CallContext, scope: ProfileScope) -> ApiResult<()> {
    match scope == ProfileScope::Gateway && !ctx.principal().is_admin() {
        true => Err(ApiError::forbidden(ADMINS_ONLY)),
        false => Ok(()),
    }
}

fn checked_id(text: &str) -> ApiResult<&str> {
    let id = bare_id(text);
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let starts = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    match starts && id.len() <= 80 && id.chars().all(rest) {
        true => Ok(id),
        false => Err(ApiError::bad_request(BAD_ID)),
    }
}

fn checked_scope(text: Option<&str>) -> ApiResult<Option<ProfileScope>> {
    match text.map(|text| text.trim().to_lowercase()).as_deref() {
        None => Ok(None),
        Some("" | "user") => Ok(Some(ProfileScope::User)),
        Some("gateway") => Ok(Some(ProfileScope::Gateway)),
        Some(_) => Err(ApiError::bad_request(BAD_SCOPE)),
    }
}

/// Without its trailing slashes; blank means none.
fn checked_url(text: &str) -> ApiResult<Option<String>> {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = url::Url::parse(text).ok();
    let usable = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match parsed.is_some_and(|url| usable(&url)) {
        true => Ok(Some(text.to_owned())),
        false => Err(ApiError::bad_request(BAD_URL)),
    }
}

fn filled(texts: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        let text = text.trim();
        if !text.is_empty() && out.iter().all(|known| known != text) {
            out.push(text.to_owned());
        }
    }
    out
}
