//! Deprecations. A record covers all versions of a bundle; a flow's own record wins over the bundle's `*`.

use ag_bundles::{
    index::is_catalog_id,
    reference::filled,
    select::{SelectError, select_deprecation},
};
use ag_engine::workflows::Deprecation;
use ag_store::{Document, DocumentKind, PutMode};
use axum::Json;
use serde::Serialize;

use crate::{
    ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, string},
};

/// Key of a record for all entrypoints.
const ALL: &str = "*";

/// What to deprecate, and why.
pub(super) struct Deprecate {
    bundle_id: String,
    flow_id: Option<String>,
    reason: Option<String>,
}

impl Request for Deprecate {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let bundle_id = reader.path().required("bundle_id", string());
        let mut body = reader.body();
        Self {
            bundle_id: bundle_id.trim().to_owned(),
            flow_id: body.optional("flow_id", string()),
            reason: body.optional("reason", string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Deprecated {
    ok: bool,
    bundle_id: String,
    flow_id: String,
    #[serde(flatten)]
    record: Deprecation,
}

pub(super) async fn deprecate_bundle(
    ctx: CallContext,
    Input(request): Input<Deprecate>,
) -> ApiResult<Json<Deprecated>> {
    let registry = ctx.workflows().current(ctx.scope()).await?;
    let flow_id = select_deprecation(&registry.index, &request.bundle_id, request.flow_id.as_deref())?;
    let record = Deprecation {
        deprecated_at: ctx.now().to_zulu_text(),
        reason: request.reason.as_deref().and_then(filled).map(str::to_owned),
    };
    let document = Document {
        id: key(&request.bundle_id, &flow_id),
        // Two texts: this always serialises.
        body: serde_json::to_string(&record).unwrap_or_default(),
        updated_at: ctx.now(),
    };
    ctx.store()
        .put_document(ctx.scope(), DocumentKind::Deprecation, document, PutMode::Upsert)
        .await?;
    ctx.workflows().reload(ctx.scope()).await?;
    Ok(Json(Deprecated {
        ok: true,
        bundle_id: request.bundle_id,
        flow_id,
        record,
    }))
}

#[derive(Serialize)]
pub(super) struct Undeprecated {
    ok: bool,
    bundle_id: String,
    flow_id: String,
    removed: bool,
}

pub(super) async fn undeprecate_bundle(
    ctx: CallContext,
    Input(request): Input<Deprecate>,
) -> ApiResult<Json<Undeprecated>> {
    if is_catalog_id(&request.bundle_id) {
        return Err(SelectError::CatalogBundle.into());
    }
    let flow_id = request
        .flow_id
        .as_deref()
        .and_then(filled)
        .unwrap_or(ALL)
        .to_owned();
    // No bundle has such an id, and databases refuse to look for one.
    let nameless = |id: &str| id.contains(['\0', '\n']);
    let removed = match nameless(&request.bundle_id) || nameless(&flow_id) {
        true => false,
        false => {
            let id = key(&request.bundle_id, &flow_id);
            ctx.store()
                .delete_document(ctx.scope(), DocumentKind::Deprecation, &id)
                .await?
        }
    };
    ctx.workflows().reload(ctx.scope()).await?;
    Ok(Json(Undeprecated {
        ok: true,
        bundle_id: request.bundle_id,
        flow_id,
        removed,
    }))
}

fn key(bundle_id: &str, flow_id: &str) -> String {
    format!("{bundle_id}\n{flow_id}")
}
