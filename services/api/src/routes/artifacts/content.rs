//! One artifact: its metadata, its bytes, and the count of who looked at it.
//!
//! Stored bytes and types come from strangers. A browser must neither guess another type nor run anything of them on
//! this origin: every answer says `nosniff`, and all but PDF (whose viewers refuse to work inside one) carry a
//! sandbox without scripts. `<img>`, `<audio>` and `<video>` elements are not affected by either.

use ag_artifacts::{
    AccessAction, AccessBy, ArtifactMeta, BlobId, ByteRange, content_action, header_value, is_artifact_id,
    is_visible_to_run, metadata_response,
};
use ag_effects::artifacts::blob_scope;
use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{
    owner::{Owner, owner},
    range::{Wanted, wanted},
};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, string},
};

const SANDBOX: &str = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; font-src data:; style-src 'unsafe-inline'";

/// An artifact of a run.
pub(super) struct ArtifactPath {
    run_id: String,
    artifact_id: String,
}

impl Request for ArtifactPath {
    fn read(reader: &mut Reader) -> Self {
        let mut path = reader.path();
        Self {
            run_id: path.required("run_id", string()),
            artifact_id: path.required("artifact_id", string()),
        }
    }
}

/// The metadata of an artifact that the run may see.
///
/// # Errors
/// 400 and 404 of the contract.
pub(super) async fn find(
    ctx: &CallContext,
    run_id: &str,
    artifact_id: &str,
) -> ApiResult<(Owner, ArtifactMeta)> {
    let owner = owner(ctx, run_id).await?;
    if !is_artifact_id(artifact_id) {
        return Err(ApiError::bad_request(format!(
            "Invalid artifact id: {artifact_id}"
        )));
    }
    let row = ctx.store().artifact(ctx.scope(), artifact_id).await?;
    let row = row.ok_or_else(|| ApiError::not_found(format!("Artifact '{artifact_id}' not found")))?;
    let meta: ArtifactMeta =
        serde_json::from_str(&row.meta).map_err(|error| ApiError::internal("stored artifact", &error))?;
    match is_visible_to_run(&meta, &owner.id, owner.session_id.as_deref()) {
        true => Ok((owner, meta)),
        false => Err(ApiError::not_found("artifact not found")),
    }
}

/// Counts an access. Two at once may count as one: the counters inform people and decide nothing.
pub(super) async fn count(
    ctx: &CallContext,
    owner: &Owner,
    meta: &mut ArtifactMeta,
    action: AccessAction,
) -> ApiResult<()> {
    let by = AccessBy {
        actor_id: "gateway",
        session_id: owner.session_id.as_deref(),
        run_id: Some(&owner.id),
    };
    meta.access.record(action, &ctx.now().to_string(), by);
    let document =
        serde_json::to_string(meta).map_err(|error| ApiError::internal("artifact document", &error))?;
    ctx.store()
        .update_artifact_meta(ctx.scope(), &meta.artifact_id, &document)
        .await?;
    Ok(())
}

pub(super) async fn get_artifact(
    ctx: CallContext,
    Input(path): Input<ArtifactPath>,
) -> ApiResult<Json<Value>> {
    let (owner, mut meta) = find(&ctx, &path.run_id, &path.artifact_id).await?;
    count(&ctx, &owner, &mut meta, AccessAction::Metadata).await?;
    Ok(Json(metadata_response(&meta)))
}

/// An artifact of a run, and what for.
pub(super) struct ContentPath {
    path: ArtifactPath,
    access: Option<String>,
}

impl Request for ContentPath {
    fn read(reader: &mut Reader) -> Self {
        let path = ArtifactPath::read(reader);
        let mut query = reader.query();
        let action = query.or("access_action", string(), "content".to_owned());
        Self {
            path,
            access: query.optional("access", string()).or(Some(action)),
        }
    }
}

pub(super) async fn get_artifact_content(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ContentPath>,
) -> ApiResult<Response> {
    let (owner, mut meta) = find(&ctx, &request.path.run_id, &request.path.artifact_id).await?;
    let action = content_action(request.access.as_deref());
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let wanted = wanted(range, meta.size_bytes);
    if wanted == Wanted::Unsatisfiable {
        let all = format!("bytes */{}", meta.size_bytes);
        let refusal = ApiError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "Requested range is not satisfiable",
        );
        return Ok(([(header::CONTENT_RANGE, all)], refusal).into_response());
    }
    let bytes = match wanted {
        Wanted::Part(range) => range,
        Wanted::All | Wanted::Unsatisfiable => ByteRange::ALL,
    };
    let reader = open(&ctx, &meta, bytes).await?;
    count(&ctx, &owner, &mut meta, action).await?;
    let mut response = Response::new(Body::from_stream(reader.stream));
    let out = response.headers_mut();
    if let Wanted::Part(range) = wanted
        && reader.length > 0
    {
        let last = range.start + reader.length - 1;
        if let Ok(value) = HeaderValue::from_str(&format!("bytes {}-{last}/{}", range.start, reader.size)) {
            out.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    describe(response.headers_mut(), &meta, action);
    Ok(response)
}

/// A reader of the artifact's bytes.
///
/// # Errors
/// 404 when they are gone, 500 when the store fails.
pub(super) async fn open(
    ctx: &CallContext,
    meta: &ArtifactMeta,
    range: ByteRange,
) -> ApiResult<ag_artifacts::BlobReader> {
    let missing = || ApiError::not_found(format!("Artifact '{}' not found", meta.artifact_id));
    let id = BlobId::parse(&meta.blob_id).ok_or_else(missing)?;
    let found = ctx.blobs().open(&blob_scope(ctx.scope()), &id, range).await;
    found
        .map_err(|error| ApiError::internal("reading an artifact", &error))?
        .ok_or_else(missing)
}

fn describe(headers: &mut HeaderMap, meta: &ArtifactMeta, action: AccessAction) {
    let stored = Some(header_value(&meta.content_type)).filter(|value| !value.is_empty());
    let content_type = stored.and_then(|value| HeaderValue::from_str(&value).ok());
    let content_type = content_type.unwrap_or(HeaderValue::from_static(ag_artifacts::OCTET_STREAM));
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let is_pdf = meta
        .content_type
        .trim()
        .to_ascii_lowercase()
        .starts_with("application/pdf");
    if !is_pdf {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    }
    let kind = if action == AccessAction::Download {
        "attachment"
    } else {
        "inline"
    };
    headers.insert(header::CONTENT_DISPOSITION, disposition(kind, meta.filename()));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// `inline; filename*=UTF-8''<encoded>`: the encoded form alone, so that no foreign character is a character of the
/// header.
fn disposition(kind: &'static str, filename: Option<&str>) -> HeaderValue {
    let plain = HeaderValue::from_static(kind);
    let Some(name) = filename
        .and_then(|name| name.rsplit(['/', '\\']).next())
        .filter(|name| !name.is_empty())
    else {
        return plain;
    };
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    HeaderValue::from_str(&format!("{kind}; filename*=UTF-8''{encoded}")).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_header() {
        let text = |name| {
            disposition("inline", name)
                .to_str()
                .map(str::to_owned)
                .unwrap_or_default()
        };
        assert_eq!(text(None), "inline");
        assert_eq!(text(Some("dir/a b.txt")), "inline; filename*=UTF-8''a%20b.txt");
        assert_eq!(
            text(Some("x\"\r\nset-cookie: a")),
            "inline; filename*=UTF-8''x%22%0D%0Aset-cookie%3A%20a"
        );
        assert_eq!(text(Some("é")), "inline; filename*=UTF-8''%C3%A9");
    }
}
