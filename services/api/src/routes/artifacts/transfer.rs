//! Between artifacts and the files of the workspace: import, ingest, export. All of them for admins; the security
//! layer sees to that.

use std::path::{Path, PathBuf};

use ag_artifacts::{AccessAction, ByteRange, UploadTags, declared_or_guessed, file_name, import_tags};
use ag_tools::workspace::{PathError, Roots};
use ag_types::Object;
use axum::Json;
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{
    content,
    store::{Stored, session, store},
};
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Fields, NestedFields, Reader, Request, boolean, nested, object, string},
    routes::{blocking::blocking, files::Scope},
    spool::Spool,
};

/// A file of the workspace for a session.
struct Import {
    session_id: String,
    path: String,
    filename: Option<String>,
    content_type: Option<String>,
    scope: Scope,
}

/// `source` of an import.
#[derive(Default)]
struct ImportSource {
    kind: Option<String>,
    path: Option<String>,
}

impl NestedFields for ImportSource {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            kind: fields.optional("kind", string()),
            path: fields.optional("path", string()),
        }
    }
}

/// Body of an import.
pub(super) struct ImportArtifact {
    import: Import,
    source: Option<ImportSource>,
    pin_id: Option<String>,
    purpose: Option<String>,
    tags: Option<Object>,
}

impl Request for ImportArtifact {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            import: Import {
                session_id: body.required("session_id", string()),
                path: body.optional("path", string()).unwrap_or_default(),
                filename: body.optional("filename", string()),
                content_type: body.optional("content_type", string()),
                scope: Scope::read(&mut body),
            },
            source: body.optional("source", nested::<ImportSource>()),
            pin_id: body.optional("pin_id", string()),
            purpose: match body.has("purpose") {
                true => body.optional("purpose", string()),
                false => Some("run_input".to_owned()),
            },
            tags: body.optional("tags", object()),
        }
    }
}

pub(super) async fn import_artifact(
    ctx: CallContext,
    Input(request): Input<ImportArtifact>,
) -> ApiResult<Json<Stored>> {
    let mut import = request.import;
    if let Some(source) = request.source {
        let kind = source.kind.unwrap_or_else(|| "workspace_path".to_owned());
        if kind.trim() != "workspace_path" {
            return Err(ApiError::bad_request("source.kind must be 'workspace_path'"));
        }
        import.path = source
            .path
            .filter(|path| !path.trim().is_empty())
            .unwrap_or(import.path);
    }
    let mut extra: Vec<(String, String)> = Vec::new();
    for (name, value) in request.tags.unwrap_or_default() {
        extra.extend(tag_text(value).map(|value| (name, value)));
    }
    let named = [("purpose", request.purpose), ("pin_id", request.pin_id)];
    for (name, value) in named {
        let value = value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty());
        extra.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(Json(
        bring_in(&ctx, import, "run_input", "Artifact", &extra).await?,
    ))
}

/// A tag's value as text; null and structures are no tags.
fn tag_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Body of an ingest.
pub(super) struct IngestAttachment(Import);

impl Request for IngestAttachment {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self(Import {
            session_id: body.required("session_id", string()),
            path: body.required("path", string()),
            filename: body.optional("filename", string()),
            content_type: body.optional("content_type", string()),
            scope: Scope::read(&mut body),
        })
    }
}

pub(super) async fn ingest_attachment(
    ctx: CallContext,
    Input(IngestAttachment(import)): Input<IngestAttachment>,
) -> ApiResult<Json<Stored>> {
    let stored = bring_in(&ctx, import, "attachment", "Attachment", &[]).await?;
    Ok(Json(stored.into_attachment()))
}

async fn bring_in(
    ctx: &CallContext,
    import: Import,
    kind: &str,
    word: &'static str,
    extra: &[(String, String)],
) -> ApiResult<Stored> {
    let session_id = session(&import.session_id)?;
    let roots = import.scope.roots(ctx.state().config());
    let max = ctx.state().config().limits.attachment_bytes();
    let path = import.path;
    let (shown, content) = blocking(move || open(&roots, &path, max, word)).await??;
    let filename = import
        .filename
        .as_deref()
        .and_then(file_name)
        .or_else(|| file_name(&shown));
    let filename = filename.unwrap_or_else(|| shown.clone());
    let content_type = declared_or_guessed(import.content_type.as_deref(), &filename);
    let describe = {
        let content_type = content_type.clone();
        move |sha256: &str| {
            let facts = UploadTags {
                filename: &filename,
                path: &shown,
                session_id,
                sha256,
                content_type: &content_type,
            };
            let extra = extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            import_tags(kind, facts, extra)
        }
    };
    store(ctx, session_id, content_type, content, describe).await
}

/// Virtual path and content of a file.
fn open(roots: &Roots, path: &str, max: u64, word: &str) -> ApiResult<(String, Spool)> {
    let real = roots.resolve(path)?;
    let shown = roots.virtual_path(&real);
    roots.check_ignored(&real, &shown)?;
    let missing = || ApiError::not_found("File not found");
    let found = real.metadata().map_err(|_| missing())?;
    if !found.is_file() {
        return Err(ApiError::bad_request("Path is not a file"));
    }
    let file =
        std::fs::File::open(&real).map_err(|error| ApiError::internal("opening a workspace file", &error))?;
    // Of the open file: another one may have taken the path meanwhile.
    let size = file.metadata().map_err(|_| missing())?.len();
    if size > max {
        return Err(ApiError::too_large(format!(
            "{word} too large ({size} bytes > {max} bytes)"
        )));
    }
    Ok((shown, Spool::of_file(file, size)))
}

impl From<PathError> for ApiError {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Empty => Self::bad_request(error.http_text()),
            _ => Self::forbidden(error.http_text()),
        }
    }
}

/// Where to write an artifact.
pub(super) struct ExportArtifact {
    run_id: String,
    artifact_id: String,
    path: Option<String>,
    overwrite: bool,
    create_parent_dirs: bool,
    scope: Scope,
}

impl Request for ExportArtifact {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let artifact_id = reader.path().required("artifact_id", string());
        let mut body = reader.body();
        let path = body
            .optional("path", string())
            .filter(|path| !path.trim().is_empty());
        let destination = body.optional("destination", string());
        Self {
            run_id,
            artifact_id,
            path: path.or(destination),
            overwrite: body.or("overwrite", boolean(), false),
            create_parent_dirs: body.or("create_parent_dirs", boolean(), false),
            scope: Scope::read(&mut body),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Exported {
    ok: bool,
    artifact_id: String,
    run_id: String,
    path: String,
    bytes_written: u64,
    content_type: String,
    sha256: Value,
}

pub(super) async fn export_artifact(
    ctx: CallContext,
    Input(request): Input<ExportArtifact>,
) -> ApiResult<Json<Exported>> {
    let (owner, mut meta) = content::find(&ctx, &request.run_id, &request.artifact_id).await?;
    let roots = request.scope.roots(ctx.state().config());
    let path = request.path.unwrap_or_default();
    let (overwrite, parents) = (request.overwrite, request.create_parent_dirs);
    let prepared =
        blocking(move || prepare(&roots, &path, overwrite, parents).map(|target| (roots, path, target)));
    let (roots, path, target) = prepared.await??;
    let reader = content::open(&ctx, &meta, ByteRange::ALL).await?;
    let temporary = target.with_file_name(format!(".{}.tmp", ctx.ids().hex32()));
    let written = write(reader.stream, &temporary).await;
    let failed = |error: &dyn std::fmt::Display| ctx.failed("Failed to export artifact", error);
    let moved = match written {
        Ok(bytes) => {
            let (from, to) = (temporary.clone(), target.clone());
            blocking(move || place(&roots, &path, &from, &to, overwrite))
                .await?
                .map(|shown| (shown, bytes))
        }
        Err(error) => Err(failed(&error)),
    };
    if moved.is_err() {
        // A leftover with a random name is all that can stay behind.
        let _ = tokio::fs::remove_file(&temporary).await;
    }
    let (shown, bytes_written) = moved?;
    content::count(&ctx, &owner, &mut meta, AccessAction::Export).await?;
    Ok(Json(Exported {
        ok: true,
        artifact_id: meta.artifact_id,
        run_id: owner.id,
        path: shown,
        bytes_written,
        content_type: meta.content_type,
        sha256: meta.blob_id.into(),
    }))
}

/// Where the file goes, if it may go there.
fn prepare(roots: &Roots, path: &str, overwrite: bool, create_parents: bool) -> ApiResult<PathBuf> {
    let target = roots.resolve(path)?;
    roots.check_ignored(&target, &roots.virtual_path(&target))?;
    if target.is_dir() {
        return Err(ApiError::bad_request("Destination path is a directory"));
    }
    if target.exists() && !overwrite {
        return Err(exists());
    }
    let parent = target.parent().unwrap_or(Path::new("/"));
    if parent.exists() && !parent.is_dir() {
        return Err(ApiError::bad_request("Destination parent is not a directory"));
    }
    if !parent.exists() {
        if !create_parents {
            return Err(ApiError::not_found("Destination parent directory does not exist"));
        }
        std::fs::create_dir_all(parent).map_err(|error| ApiError::internal("making a folder", &error))?;
    }
    Ok(target)
}

/// Moves the written file to its place, if the path still means that place; returns the virtual path.
fn place(roots: &Roots, path: &str, from: &Path, to: &Path, overwrite: bool) -> ApiResult<String> {
    if roots.resolve(path)? != to {
        return Err(PathError::Escapes {
            path: path.to_owned(),
        }
        .into());
    }
    let moved = match overwrite {
        true => std::fs::rename(from, to),
        false => place_new(from, to),
    };
    match moved {
        Ok(()) => Ok(roots.virtual_path(to)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(ApiError::internal("placing an exported file", &error)),
    }
}

/// Moves a file to a name that must be free.
fn place_new(from: &Path, to: &Path) -> std::io::Result<()> {
    // A link to a name that exists fails, whoever made it in the meantime.
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
        // Some file systems have no links; the window between these two calls is the price.
        Err(_) if to.symlink_metadata().is_ok() => Err(std::io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

fn exists() -> ApiError {
    ApiError::conflict("Destination already exists; set overwrite=true to replace it")
}

async fn write(mut stream: ag_artifacts::ByteStream, to: &Path) -> std::io::Result<u64> {
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(to)
        .await?;
    let mut written = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        file.write_all(&chunk).await?;
        written += chunk.len() as u64;
    }
    file.sync_all().await?;
    Ok(written)
}
