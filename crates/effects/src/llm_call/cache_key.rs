//! The prefix-cache key of a call.

use ag_pyvalue::{coerce_bool, opt_str};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::input::Input;
use crate::EffectCtx;
use crate::routes::ResolvedModel;

/// What is known of a call's key.
pub(super) enum Key {
    /// It is this one, or expressly none.
    Given(Option<String>),
    /// Nobody said anything: the plane's default for the model holds.
    Open,
}

/// An explicit key wins, even an empty one; then that of a binding; then one derived from session, model and node, if
/// the run wants caching.
///
/// # Errors
/// The contract's text when key and binding disagree.
pub(super) fn of(
    ctx: &EffectCtx<'_>,
    input: &Input<'_>,
    chosen: &ResolvedModel,
    node_id: &str,
    host_default: bool,
) -> Result<Key, String> {
    let explicit = input
        .param("prompt_cache_key")
        .and_then(Value::as_str)
        .map(|key| key.trim().to_owned());
    if let Some(binding) = input.param("prompt_cache_binding") {
        let bound = opt_str(binding.get("key").unwrap_or(binding));
        return match (explicit, bound) {
            (Some(key), Some(bound)) if key != bound => {
                Err("prompt_cache_key and prompt_cache_binding.key must match.".to_owned())
            }
            (Some(key), _) => Ok(Key::Given(Some(key))),
            // A binding without key names a cache that the server finds by itself.
            (None, bound) => Ok(Key::Given(bound)),
        };
    }
    let known = explicit.or_else(|| derived(ctx, input, chosen, node_id, host_default));
    Ok(match known {
        Some(key) => Key::Given(Some(key)),
        None => Key::Open,
    })
}

fn derived(
    ctx: &EffectCtx<'_>,
    input: &Input<'_>,
    chosen: &ResolvedModel,
    node_id: &str,
    host_default: bool,
) -> Option<String> {
    let settings = input.runtime("prompt_cache");
    let enabled = match settings {
        Some(Value::Object(map)) => map.get("enabled").and_then(coerce_bool).unwrap_or(false),
        Some(other) => coerce_bool(other).unwrap_or(false),
        None => host_default,
    };
    let session = ctx
        .run
        .head
        .session_id
        .as_deref()
        .filter(|session| enabled && !session.is_empty())?;
    let setting = |key: &str| settings.and_then(|settings| settings.get(key)).and_then(opt_str);
    if let Some(key) = setting("key") {
        return Some(key);
    }
    let provider = chosen.provider.to_lowercase();
    let (model, workflow) = (&chosen.model, &ctx.run.head.workflow_id);
    let text = format!("v1|{session}|{provider}|{model}|{workflow}|{node_id}");
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let namespace = setting("namespace").unwrap_or_else(|| session.to_owned());
    Some(format!("{namespace}:{}", &digest[..24]))
}
