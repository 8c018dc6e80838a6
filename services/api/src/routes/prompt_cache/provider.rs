//! What a provider's cache can do, and the key it uses by default.

use ag_providers::family::Wire;
use serde_json::{Value, json};

use crate::{
    ApiResult, CallContext,
    routes::models::{ModelServices, Overrides, client},
};

/// A provider as the cache operations see it.
#[derive(Debug, Clone)]
pub(super) enum Cache {
    /// Takes keys.
    Keyed,
    /// Has no cache to speak of.
    Absent,
    /// Cannot be used at all, for this reason.
    Unusable(String),
}

impl Cache {
    pub(super) async fn of(ctx: &CallContext, services: &ModelServices, provider: &str) -> Self {
        match client(ctx, services, provider, &Overrides::default()).await {
            Ok(client) => match client.endpoint.family.wire {
                Wire::OpenAi | Wire::Anthropic | Wire::AbstractCore => Self::Keyed,
                Wire::Ollama | Wire::InProcess => Self::Absent,
            },
            Err(error) => Self::Unusable(error.to_string()),
        }
    }

    pub(super) fn is_keyed(&self) -> bool {
        matches!(self, Self::Keyed)
    }

    /// The `capabilities` member.
    pub(super) fn capabilities(&self) -> Value {
        let keyed = self.is_keyed();
        let notes: &[&str] = match self {
            Self::Unusable(_) => return json!({"supported": false, "mode": "none"}),
            Self::Keyed => &[
                "Provider accepts prompt cache keys but does not expose the full local prompt-cache control plane.",
            ],
            Self::Absent => &[],
        };
        json!({
            "supported": keyed,
            "mode": if keyed { "keyed" } else { "none" },
            "supports_set": keyed,
            "supports_clear": keyed,
            "supports_update": false,
            "supports_fork": false,
            "supports_prepare_modules": false,
            "supports_stats": keyed,
            "supports_save": false,
            "supports_load": false,
            "supports_ttl": false,
            "notes": notes,
        })
    }

    /// Why an operation cannot be done; `unsupported` is said of providers that have no such thing.
    pub(super) fn refusal(&self, operation: &str, unsupported: &str) -> Value {
        let (code, error) = match self {
            Self::Unusable(error) => ("prompt_cache_error", error.as_str()),
            _ => ("prompt_cache_unsupported", unsupported),
        };
        json!({
            "supported": false, "operation": operation, "code": code, "error": error,
            "capabilities": self.capabilities(),
        })
    }
}

/// The default key of a model in the caller's plane; model calls that name none use it.
pub(super) async fn default_key(ctx: &CallContext, provider: &str, model: &str) -> ApiResult<Option<String>> {
    let services = ModelServices::of(ctx)?;
    let routes = services.resolver.routes();
    Ok(routes
        .prompt_cache_key(ctx.scope(), provider.trim(), model.trim())
        .await?)
}

/// Chooses the default key of a model, or none.
pub(super) async fn set_default_key(
    ctx: &CallContext,
    provider: &str,
    model: &str,
    key: Option<&str>,
) -> ApiResult<()> {
    let services = ModelServices::of(ctx)?;
    let routes = services.resolver.routes();
    Ok(routes
        .set_prompt_cache_key(ctx.scope(), provider.trim(), model.trim(), key)
        .await?)
}

/// The `stats` member.
pub(super) fn stats(cache: &Cache, default_key: Option<&str>) -> Value {
    json!({
        "entries": 0,
        "max_entries": 32,
        "default_ttl_s": null,
        "default_key": default_key,
        "capabilities": cache.capabilities(),
        "keys": [],
    })
}

/// The contract's text; a provider behind HTTP never tells us of a key it holds.
pub(super) fn missing_key(key: &str) -> String {
    format!("Prompt cache key '{key}' does not exist.")
}
