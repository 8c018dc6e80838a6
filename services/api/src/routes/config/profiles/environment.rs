//! Connections that the environment configures, as rows that cannot be edited.

use ag_providers::{FAMILIES, ProviderFamily};
use serde_json::{Value, json};

use super::fingerprint;
use crate::CallContext;

/// Families that are shown, in the order of the page.
const SHOWN: [&str; 7] = [
    "openai",
    "anthropic",
    "openrouter",
    "portkey",
    "lmstudio",
    "ollama",
    "openai-compatible",
];

/// One row per family that has a key or an address.
pub(super) fn rows(ctx: &CallContext) -> Vec<Value> {
    let family = |name: &&str| FAMILIES.iter().find(|family| family.name == *name);
    SHOWN.iter().filter_map(|name| row(ctx, family(name)?)).collect()
}

fn row(ctx: &CallContext, family: &ProviderFamily) -> Option<Value> {
    let providers = &ctx.state().config().providers;
    let key = Some(family.key_env)
        .filter(|name| !name.is_empty())
        .and_then(|name| providers.secret(name));
    let address = providers.first(family.base_url_env);
    if key.is_none() && address.is_none() {
        return None;
    }
    // On a shared gateway the operator's addresses and keys are the operator's business.
    let shown = ctx.principal().is_admin();
    Some(json!({
        "id": family.name,
        "provider_id": family.name,
        "display_name": family.display_name,
        "description": family.description,
        "provider_family": family.name,
        "base_url": address.filter(|_| shown),
        "default_base_url": family.default_base_url,
        "base_url_configured": address.is_some(),
        "api_key_set": key.is_some(),
        "api_key_fingerprint": key.filter(|_| shown).map(fingerprint).unwrap_or_default(),
        "scope": "environment",
        "capabilities": ["text"],
        "allowed_models": [],
        "discovered_model_count": null,
        "enabled": true,
        "managed": false,
        "synthetic": true,
        "source": "environment",
    }))
}
