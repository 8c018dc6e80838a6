//! Publishing: a document and everything its execution reaches become an installed bundle.

use std::{collections::HashMap, sync::Arc};

use ag_bundles::{
    Manifest, Object,
    pack::{ExistingVersion, PublishError, PublishRequest, Published, publish, publish_bundle_id},
};
use ag_store::DocumentKind;
use axum::Json;
use bytes::Bytes;
use serde::Serialize;

use super::documents;
use crate::{
    ApiError, ApiResult, CallContext, Input,
    error::status_of,
    input::{BodyRule, Reader, Request, boolean, string},
    routes::{blocking::blocking, bundles::Installer},
};

/// How to publish.
pub(super) struct PublishVisualFlow {
    flow_id: String,
    bundle_id: Option<String>,
    bundle_version: Option<String>,
    overwrite: bool,
    reload_gateway: bool,
}

impl Request for PublishVisualFlow {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let flow_id = reader.path().required("flow_id", string());
        let mut body = reader.body();
        Self {
            flow_id,
            bundle_id: body.optional("bundle_id", string()),
            bundle_version: body.optional("bundle_version", string()),
            overwrite: body.or("overwrite", boolean(), false),
            reload_gateway: body.or("reload_gateway", boolean(), true),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PublishAnswer {
    ok: bool,
    bundle_id: String,
    bundle_version: String,
    bundle_ref: String,
    /// Informational; a name, because folders of the host are nobody's business.
    bundle_path: String,
    gateway_reloaded: bool,
    gateway_reload_error: Option<String>,
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        Self::new(status_of(error.status()), error.to_string())
    }
}

pub(super) async fn publish_visualflow(
    ctx: CallContext,
    Input(request): Input<PublishVisualFlow>,
) -> ApiResult<Json<PublishAnswer>> {
    let root = Arc::new(documents::read(&ctx, &request.flow_id).await?);
    let bundle_id = publish_bundle_id(request.bundle_id.as_deref(), &root, &request.flow_id)?;
    let installer = Installer::of(&ctx);
    let existing: Vec<ExistingVersion> = installer
        .rows()
        .await?
        .iter()
        .filter(|(reference, _)| reference.split_once('@').is_some_and(|(id, _)| id == bundle_id))
        .filter_map(|(_, row)| Manifest::from_value(&row.record.manifest).ok())
        .map(|manifest| ExistingVersion::from(&manifest))
        .collect();
    let (_, stored) = ctx
        .store()
        .documents(ctx.scope(), DocumentKind::VisualFlow)
        .await?;
    let stored: HashMap<String, String> = stored
        .into_iter()
        .map(|document| (document.id, document.body))
        .collect();
    let now = ctx.now().to_string();
    let PublishVisualFlow {
        flow_id,
        bundle_version,
        overwrite,
        reload_gateway,
        ..
    } = request;
    let published = blocking(move || {
        let lookup = |id: &str| serde_json::from_str::<Object>(stored.get(id)?).ok().map(Arc::new);
        publish(&PublishRequest {
            flow_id: &flow_id,
            root: &root,
            lookup: &lookup,
            bundle_id: &bundle_id,
            bundle_version: bundle_version.as_deref(),
            overwrite,
            existing: &existing,
            now: &now,
        })
    })
    .await??;
    let Published {
        manifest,
        bytes,
        file_name,
        ..
    } = published;
    let package = installer.inspect(Bytes::from(bytes)).await?;
    let load_error = installer.install(package, overwrite).await?;
    if reload_gateway {
        installer.reload().await?;
        if let Some(error) = load_error {
            let detail = format!("Failed to reload bundles after publish: {error}");
            return Err(ApiError::new(http::StatusCode::SERVICE_UNAVAILABLE, detail));
        }
    }
    Ok(Json(PublishAnswer {
        ok: true,
        bundle_ref: manifest.bundle_ref(),
        bundle_id: manifest.bundle_id,
        bundle_version: manifest.bundle_version,
        bundle_path: file_name,
        gateway_reloaded: reload_gateway,
        gateway_reload_error: None,
    }))
}
