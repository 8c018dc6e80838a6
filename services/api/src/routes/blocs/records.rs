//! Texts and their records. Always 200; refusals are answers.

use ag_providers::ServiceVerb;
use ag_store::{Document, DocumentKind, PutMode};
use ag_types::Object;
use axum::Json;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::text;
use crate::{
    ApiResult, CallContext, Input,
    input::{BodyRule, Fields, Reader, Request, boolean, float, int, list, string},
    routes::{models::ModelServices, split},
};

/// A text to store.
pub(super) struct UpsertText {
    given: Object,
    content: String,
}

impl Request for UpsertText {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        let mut given = Object::new();
        let mut set = |name: &str, value: Option<Value>| {
            given.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("path", Some(body.required("path", string()).into()));
        let content = body.required("content", string());
        for name in ["sha256", "content_sha256", "format", "relpath_base", "summary"] {
            set(name, body.optional(name, string()).map(Value::from));
        }
        set(
            "media_type",
            Some(body.or("media_type", string(), "text".to_owned()).into()),
        );
        for name in ["size_bytes", "mtime_ns", "estimated_tokens"] {
            set(name, body.optional(name, int()).map(Value::from));
        }
        set(
            "keywords",
            body.optional("keywords", list(string())).map(Value::from),
        );
        Self { given, content }
    }
}

/// Which bloc is meant, and for which model.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    pub(super) sha256: Option<String>,
    pub(super) bloc_id: Option<i64>,
    pub(super) provider: Option<String>,
    /// All of it, for split mode.
    pub(super) given: Object,
}

impl Selector {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let mut given = Object::new();
        let mut text = |name: &'static str| {
            let text = fields
                .optional(name, string())
                .filter(|text| !text.trim().is_empty());
            given.extend(text.clone().map(|text| (name.to_owned(), text.into())));
            text
        };
        let sha256 = text("sha256");
        text("runtime_id");
        let provider = text("provider");
        text("model");
        text("base_url");
        text("artifact_path");
        let bloc_id = fields.optional("bloc_id", int());
        given.extend(bloc_id.map(|id| ("bloc_id".to_owned(), id.into())));
        let timeout = fields.optional("timeout_s", float());
        given.extend(timeout.map(|seconds| ("timeout_s".to_owned(), seconds.into())));
        Self {
            sha256: sha256.map(|text| text.trim().to_owned()),
            bloc_id,
            provider,
            given,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sha256.is_none() && self.bloc_id.is_none()
    }

    fn fits(&self, record: &Value) -> bool {
        self.sha256.as_deref().is_none_or(|sha| record["sha256"] == sha)
            && self.bloc_id.is_none_or(|id| record["bloc_id"] == id)
    }

    /// The contract's text for a bloc that is not there.
    pub(super) fn not_found(&self) -> String {
        match (&self.sha256, self.bloc_id) {
            (Some(sha), _) => format!("bloc not found for sha256={sha}"),
            (None, Some(id)) => format!("bloc not found for bloc_id={id}"),
            (None, None) => "bloc not found for bloc_id=None".to_owned(),
        }
    }
}

impl Request for Selector {
    fn read(reader: &mut Reader) -> Self {
        Self::read(&mut reader.query())
    }
}

/// A bloc to delete.
pub(super) struct Delete {
    which: Selector,
    dry_run: bool,
}

impl Request for Delete {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        let mut which = Selector::read(&mut body);
        let mut switch = |name: &'static str, default| {
            let on = body.or(name, boolean(), default);
            which.given.insert(name.to_owned(), on.into());
            on
        };
        switch("delete_kv", true);
        switch("clear_loaded", false);
        switch("force", false);
        let dry_run = switch("dry_run", false);
        Self { which, dry_run }
    }
}

/// An answer that it was done.
pub(super) fn done(operation: &str, members: Value) -> Json<Value> {
    let mut answer = json!({"ok": true, "operation": operation});
    if let (Some(answer), Value::Object(members)) = (answer.as_object_mut(), members) {
        answer.extend(members);
        answer.insert("supported".to_owned(), true.into());
    }
    Json(split::facade(answer))
}

/// An answer that it was not.
pub(super) fn refused(operation: &str, code: &str, error: &str) -> Json<Value> {
    Json(split::facade(json!({
        "ok": false, "operation": operation, "code": code, "error": error, "supported": true,
    })))
}

/// In split mode the other service keeps the blocs.
pub(super) async fn elsewhere(
    ctx: &CallContext,
    verb: ServiceVerb,
    path: &str,
    given: &Object,
    operation: &str,
) -> ApiResult<Option<Json<Value>>> {
    let services = ModelServices::of(ctx)?;
    let Some(service) = &services.split else {
        return Ok(None);
    };
    let answer = split::ask(&**service, verb, path, given.clone(), operation).await;
    Ok(Some(Json(split::facade(answer))))
}

/// The records of the caller's plane, by their hash.
pub(super) async fn all(ctx: &CallContext) -> ApiResult<Vec<Value>> {
    let (_, documents) = ctx.store().documents(ctx.scope(), DocumentKind::Bloc).await?;
    let records = documents.iter().filter_map(|document| {
        let mut body: Value = serde_json::from_str(&document.body).ok()?;
        Some(body.get_mut("record")?.take())
    });
    Ok(records.collect())
}

pub(super) async fn find(ctx: &CallContext, which: &Selector) -> ApiResult<Option<Value>> {
    Ok(all(ctx).await?.into_iter().find(|record| which.fits(record)))
}

pub(super) async fn upsert_text_bloc(
    ctx: CallContext,
    Input(UpsertText { given, content }): Input<UpsertText>,
) -> ApiResult<Json<Value>> {
    let mut whole = given.clone();
    whole.insert("content".to_owned(), content.as_str().into());
    if let Some(answer) = elsewhere(
        &ctx,
        ServiceVerb::Post,
        "acore/blocs/upsert_text",
        &whole,
        "upsert_text",
    )
    .await?
    {
        return Ok(answer);
    }
    let hash = hex::encode(Sha256::digest(content.as_bytes()));
    let text = |name: &str| {
        given
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let sha = text("sha256").unwrap_or(&hash).to_owned();
    let known = all(&ctx).await?;
    let before = known.iter().find(|record| record["sha256"] == sha);
    let now = seconds(&ctx);
    let highest = known
        .iter()
        .filter_map(|record| record["bloc_id"].as_i64())
        .max()
        .unwrap_or(0);
    let path = text("path").unwrap_or_default();
    let relpath = text("relpath_base").and_then(|base| {
        let rest = path.strip_prefix(base.trim_end_matches('/'))?;
        rest.strip_prefix('/').map(str::to_owned)
    });
    let optional = |name: &str| given.get(name).cloned().unwrap_or_default();
    let or = |name: &str, value: Value| given.get(name).cloned().unwrap_or(value);
    let record = json!({
        "sha256": sha,
        "bloc_id": before.map_or_else(|| (highest + 1).into(), |record| record["bloc_id"].clone()),
        "path": path,
        "relpath": relpath,
        "filename": path.rsplit('/').next().unwrap_or_default(),
        "size_bytes": or("size_bytes", content.len().into()),
        "mtime_ns": or("mtime_ns", (ctx.now().as_micros().saturating_mul(1000)).into()),
        "media_type": optional("media_type"),
        "content_sha256": text("content_sha256").unwrap_or(&hash),
        "content_length": content.chars().count(),
        "format": optional("format"),
        "estimated_tokens": optional("estimated_tokens"),
        "summary": or("summary", text::summary(&content).into()),
        "keywords": or("keywords", text::keywords(&content).into()),
        "created_at": before.map_or_else(|| now.into(), |record| record["created_at"].clone()),
        "updated_at": now,
    });
    let document = Document {
        id: sha,
        body: json!({"record": record, "content": content}).to_string(),
        updated_at: ctx.now(),
    };
    ctx.store()
        .put_document(ctx.scope(), DocumentKind::Bloc, document, PutMode::Upsert)
        .await?;
    Ok(done("upsert_text", json!({ "record": record })))
}

/// Seconds since 1970, as records have them.
#[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit")]
fn seconds(ctx: &CallContext) -> f64 {
    ctx.now().as_micros() as f64 / 1e6
}

pub(super) async fn list_blocs(ctx: CallContext, Input(which): Input<Selector>) -> ApiResult<Json<Value>> {
    if let Some(answer) = elsewhere(&ctx, ServiceVerb::Get, "acore/blocs", &which.given, "list").await? {
        return Ok(answer);
    }
    let mut records = all(&ctx).await?;
    records.retain(|record| which.fits(record));
    Ok(done("list", json!({ "records": records })))
}

pub(super) async fn get_bloc_record(
    ctx: CallContext,
    Input(which): Input<Selector>,
) -> ApiResult<Json<Value>> {
    if let Some(answer) = elsewhere(
        &ctx,
        ServiceVerb::Get,
        "acore/blocs/record",
        &which.given,
        "record",
    )
    .await?
    {
        return Ok(answer);
    }
    if which.is_empty() {
        return Ok(refused("record", "invalid_request", "provide sha256 or bloc_id"));
    }
    Ok(match find(&ctx, &which).await? {
        Some(record) => done("record", json!({ "record": record })),
        None => refused("record", "not_found", &which.not_found()),
    })
}

pub(super) async fn delete_bloc(
    ctx: CallContext,
    Input(Delete { which, dry_run }): Input<Delete>,
) -> ApiResult<Json<Value>> {
    if let Some(answer) = elsewhere(
        &ctx,
        ServiceVerb::Post,
        "acore/blocs/delete",
        &which.given,
        "delete",
    )
    .await?
    {
        return Ok(answer);
    }
    let found = match which.is_empty() {
        true => None,
        false => find(&ctx, &which).await?,
    };
    let Some(record) = found else {
        let error = "Could not resolve bloc record; provide record, sha256, or bloc_id.";
        return Ok(refused("delete", "bloc_error", error));
    };
    let id = record["sha256"].as_str().unwrap_or_default().to_owned();
    if !dry_run {
        ctx.store()
            .delete_document(ctx.scope(), DocumentKind::Bloc, &id)
            .await?;
    }
    // The reference names a file of the host here.
    let result = json!({
        "operation": "bloc_delete", "deleted": !dry_run, "dry_run": dry_run, "kv_results": [], "live_bindings": [],
        "record": record, "deleted_path": format!("blocs/{id}"),
    });
    Ok(done("delete", json!({ "result": result })))
}
