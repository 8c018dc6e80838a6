//! Upload, removal, reload.

use ag_bundles::{
    InstallError,
    index::is_catalog_id,
    listing,
    reference::{BundleRef, filled},
    select::{Removal, SelectError},
};
use ag_config::Config;
use axum::Json;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Installer, install::InstallFailure, startup::FlowsDirError};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Fields, Reader, Request, boolean, string},
    routes::form::{Form, FormFields},
};

/// Archives are read as a whole; so many at a time, however many clients send some.
static OPENED: Semaphore = Semaphore::const_new(2);

/// Fields of an upload.
pub(super) struct UploadBundle {
    overwrite: bool,
    reload: bool,
}

impl FormFields for UploadBundle {
    fn max_file_bytes(config: &Config) -> u64 {
        config.limits.max_bundle_bytes
    }

    fn too_large(size: u64, max: u64) -> ApiError {
        InstallFailure::from(InstallError::TooLarge { size, max }).into()
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            overwrite: fields.or("overwrite", boolean(), false),
            reload: fields.or("reload", boolean(), true),
        }
    }
}

pub(super) async fn upload_bundle(ctx: CallContext, form: Form<UploadBundle>) -> ApiResult<Json<Value>> {
    let installer = Installer::of(&ctx);
    let file = form.file?;
    let _opened = OPENED.acquire().await;
    let bytes = file.content.bytes().await;
    let bytes = bytes.map_err(|error| ApiError::internal("reading an upload", &error))?;
    let package = installer.inspect(bytes).await?;
    let (manifest, sha256) = (package.manifest().clone(), package.sha256().to_owned());
    let load_error = installer.install(package, form.fields.overwrite).await?;
    let reloaded = match form.fields.reload {
        true => installer.reload().await.map(|_| load_error.is_none())?,
        false => false,
    };
    let error = load_error.as_deref().filter(|_| form.fields.reload);
    Ok(Json(listing::upload(&manifest, &sha256, error, reloaded)))
}

/// Which bundle to remove.
pub(super) struct RemoveBundle {
    bundle_id: String,
    bundle_version: Option<String>,
    reload: bool,
}

impl Request for RemoveBundle {
    fn read(reader: &mut Reader) -> Self {
        let bundle_id = reader.path().required("bundle_id", string());
        let mut query = reader.query();
        Self {
            bundle_id,
            bundle_version: query.optional("bundle_version", string()),
            reload: query.or("reload", boolean(), true),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Removed {
    ok: bool,
    bundle_ref: String,
    removed: usize,
    gateway_reloaded: bool,
    gateway_reload_error: Option<String>,
}

pub(super) async fn remove_bundle(
    ctx: CallContext,
    Input(request): Input<RemoveBundle>,
) -> ApiResult<Json<Removed>> {
    let removal = removal(&request)?;
    let installer = Installer::of(&ctx);
    let removed = installer
        .remove(&removal.bundle_id, removal.bundle_version.as_deref())
        .await?;
    if removed == 0 {
        return Err(SelectError::BundleNotFound(removal.bundle_ref()).into());
    }
    if request.reload {
        installer.reload().await?;
    }
    Ok(Json(Removed {
        ok: true,
        bundle_ref: removal.bundle_ref(),
        removed,
        gateway_reloaded: request.reload,
        gateway_reload_error: None,
    }))
}

/// Installed bundles that do not load can be removed too, so the index of loaded ones is not asked.
fn removal(request: &RemoveBundle) -> Result<Removal, SelectError> {
    let bundle = BundleRef::parse(&request.bundle_id);
    if is_catalog_id(bundle.bundle_id) {
        return Err(SelectError::CatalogBundle);
    }
    let asked = request.bundle_version.as_deref().and_then(filled);
    if bundle.version.is_some() && asked.is_some() && bundle.version != asked {
        return Err(SelectError::RemovalVersionConflict);
    }
    let version = bundle.version.or(asked);
    Ok(Removal {
        bundle_id: bundle.bundle_id.to_owned(),
        bundle_version: version.map(str::to_owned),
    })
}

#[derive(Serialize)]
pub(super) struct Reloaded {
    ok: bool,
    bundle_ids: Vec<String>,
    count: usize,
}

pub(super) async fn reload_bundles(ctx: CallContext) -> ApiResult<Json<Reloaded>> {
    let installer = Installer::of(&ctx);
    if let Err(error) = installer.scan().await {
        return Err(match error {
            FlowsDirError::Store(error) => error.into(),
            other => ctx.failed(
                "Failed to reload bundles: the bundle folder cannot be read",
                &other,
            ),
        });
    }
    let registry = installer.reload().await?;
    let bundle_ids: Vec<String> = registry.index.ids().map(str::to_owned).collect();
    let count = bundle_ids.len();
    Ok(Json(Reloaded {
        ok: true,
        bundle_ids,
        count,
    }))
}
