//! Listing, reading and skimming, and the policy.

use ag_tools::{
    file_ops::{
        http,
        list::{self, ListError, ListRequest},
        read::Range,
        skim::SkimOptions,
    },
    workspace::Roots,
};
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::scope::Scope;
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{Reader, Request, boolean, float, int, string},
    routes::blocking::blocking,
    workspace::operator_roots,
};

/// What to list, and where.
pub(super) struct ListFiles(ListRequest, Scope);

impl Request for ListFiles {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        let list = ListRequest {
            path: query.or_default("path", string()),
            recursive: query.or("recursive", boolean(), false),
            include_directories: query.or("include_directories", boolean(), true),
            family: query.or("family", string(), "any".to_owned()),
            extensions: query
                .optional("extensions", string())
                .map(|text| list::extensions(&Value::String(text)))
                .unwrap_or_default(),
            query: query.or_default("query", string()),
            limit: usize::try_from(query.or("limit", int().ge(1).le(5000), 200)).unwrap_or(200),
            max_depth: usize::try_from(query.or("max_depth", int().ge(0).le(50), 0)).unwrap_or(0),
        };
        Self(list, Scope::read(&mut query))
    }
}

#[derive(Serialize)]
pub(super) struct Listed {
    folder_path: String,
    items: Vec<Value>,
    truncated: bool,
}

pub(super) async fn list_files(
    ctx: CallContext,
    Input(ListFiles(request, scope)): Input<ListFiles>,
) -> ApiResult<Json<Listed>> {
    let roots = scope.roots(ctx.state().config());
    let listing = blocking(move || list::list(&roots, &request)).await??;
    Ok(Json(Listed {
        folder_path: listing.folder_path,
        items: listing.items.iter().map(list::Entry::to_value).collect(),
        truncated: listing.truncated,
    }))
}

impl From<ListError> for ApiError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Path(error) => error.into(),
            ListError::NotFound { .. } => Self::not_found("Folder not found"),
            ListError::NotAFolder { .. } => Self::bad_request("Path is not a folder"),
        }
    }
}

/// Which lines to show.
pub(super) struct ReadFile {
    path: String,
    range: Range,
    scope: Scope,
}

impl Request for ReadFile {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            path: query.required("path", string()),
            range: Range {
                start: query.or("start_line", int().ge(1), 1),
                end: query.optional("end_line", int().ge(1)),
            },
            scope: Scope::read(&mut query),
        }
    }
}

/// Text for display.
#[derive(Serialize)]
pub(super) struct Shown {
    path: String,
    content: String,
}

pub(super) async fn read_file(ctx: CallContext, Input(request): Input<ReadFile>) -> ApiResult<Json<Shown>> {
    let ReadFile { path, range, scope } = request;
    show(&ctx, &scope, move |roots| http::read(roots, &path, range)).await
}

/// How much to show.
pub(super) struct SkimFile {
    path: String,
    options: SkimOptions,
    scope: Scope,
}

impl Request for SkimFile {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        let lines = |number: i64| usize::try_from(number).unwrap_or(0);
        Self {
            path: query.required("path", string()),
            options: SkimOptions {
                target_percent: query.or("target_percent", float().ge(1.0).le(25.0), 8.0),
                head_lines: lines(query.or("head_lines", int().ge(0).le(500), 25)),
                tail_lines: lines(query.or("tail_lines", int().ge(0).le(500), 25)),
            },
            scope: Scope::read(&mut query),
        }
    }
}

pub(super) async fn skim_file(ctx: CallContext, Input(request): Input<SkimFile>) -> ApiResult<Json<Shown>> {
    let SkimFile { path, options, scope } = request;
    show(&ctx, &scope, move |roots| http::skim(roots, &path, options)).await
}

async fn show(
    ctx: &CallContext,
    scope: &Scope,
    display: impl FnOnce(&Roots) -> Result<http::Shown, ag_tools::workspace::PathError> + Send + 'static,
) -> ApiResult<Json<Shown>> {
    let roots = scope.roots(ctx.state().config());
    let shown = blocking(move || display(&roots)).await??;
    Ok(Json(Shown {
        path: shown.path,
        content: shown.content,
    }))
}

pub(super) async fn workspace_policy(ctx: CallContext) -> Json<Value> {
    let config = ctx.state().config();
    let overrides = config.client_scope_overrides();
    let mut modes = vec!["workspace_only", "workspace_or_allowed"];
    if overrides {
        modes.push("all_except_ignored");
    }
    // Names only: where mounts lead is the operator's business.
    let mounts: Vec<Value> = operator_roots(config)
        .mounts()
        .iter()
        .map(|mount| json!({"name": mount.name}))
        .collect();
    Json(json!({
        "ok": true,
        "policy": {
            "target": "server",
            "mounts": mounts,
            "max_attachment_bytes": config.limits.attachment_bytes(),
            "client_workspace_scope_overrides": overrides,
            "allowed_access_modes": modes,
        },
    }))
}
