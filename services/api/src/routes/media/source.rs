//! Artifacts that a request names as its material.

use ag_artifacts::{ArtifactMeta, OCTET_STREAM, is_artifact_id, is_visible_to_run};
use ag_types::Object;
use serde_json::{Value, json};

use crate::{ApiError, ApiResult, CallContext, routes::artifacts::owner::Owner};

/// Largest image, in bytes, where nothing is configured; and the most that can be.
const IMAGE_MAX_BYTES: u64 = 20_000_000;
const IMAGE_MAX_CAP: u64 = 200_000_000;

/// The largest image that this node takes and gives.
pub(super) fn max_image_bytes(ctx: &CallContext) -> u64 {
    const NAMES: [&str; 2] = ["ABSTRACTGATEWAY_IMAGE_MAX_BYTES", "ABSTRACTCORE_IMAGE_MAX_BYTES"];
    let given = ctx.state().config().providers.first(&NAMES);
    let given = given
        .and_then(|text| text.trim().parse::<u64>().ok())
        .filter(|bytes| *bytes > 0);
    given.unwrap_or(IMAGE_MAX_BYTES).min(IMAGE_MAX_CAP)
}

/// 413 for an image above the limit.
pub(super) fn check_image_size(ctx: &CallContext, name: &str, size: u64) -> ApiResult<()> {
    match max_image_bytes(ctx) {
        max if size > max => Err(ApiError::too_large(format!(
            "{name} too large ({size} bytes > {max} bytes)"
        ))),
        _ => Ok(()),
    }
}

/// The artifact behind a reference, if the run may see it and it is of a kind (`image`, `audio`).
///
/// # Errors
/// 400, 404, 413 of the contract.
pub(super) async fn find(
    ctx: &CallContext,
    owner: &Owner,
    name: &str,
    reference: &Object,
    kind: &str,
) -> ApiResult<ArtifactMeta> {
    let id = ["$artifact", "artifact_id"].iter().find_map(|key| {
        reference
            .get(*key)?
            .as_str()
            .map(str::trim)
            .filter(|id| !id.is_empty())
    });
    let id = id.ok_or_else(|| {
        ApiError::bad_request(format!(
            "{name} must be an artifact ref dict like {{'$artifact': '...'}}"
        ))
    })?;
    let missing = || ApiError::not_found(format!("{name} not found"));
    if !is_artifact_id(id) {
        return Err(missing());
    }
    let row = ctx.store().artifact(ctx.scope(), id).await?.ok_or_else(missing)?;
    let meta: ArtifactMeta =
        serde_json::from_str(&row.meta).map_err(|error| ApiError::internal("stored artifact", &error))?;
    if !is_visible_to_run(&meta, &owner.id, owner.session_id.as_deref()) {
        return Err(missing());
    }
    let content_type = meta.content_type.to_ascii_lowercase();
    if !content_type.starts_with(&format!("{kind}/")) && content_type != OCTET_STREAM {
        return Err(ApiError::bad_request(format!(
            "{name} must be {kind}/* (got '{}')",
            meta.content_type
        )));
    }
    if kind == "image" {
        check_image_size(ctx, name, meta.size_bytes)?;
    }
    Ok(meta)
}

/// An image as an attachment of the call.
pub(super) fn image_item(meta: &ArtifactMeta, role: &str) -> Value {
    json!({
        "$artifact": meta.artifact_id,
        "artifact_id": meta.artifact_id,
        "type": "image",
        "role": role,
        "content_type": meta.content_type,
    })
}
