//! `read_pdf` and `write_pdf` (node catalogue §4).

use ag_artifacts::BlobId;
use ag_pdf::ReadOptions;
use ag_tools::workspace::WorkspacePolicy;
use ag_types::{Object, Timestamp, json::object};
use serde_json::{Value, json};

use super::super::{node_type, text};

const CONTENT_TYPE: &str = "application/pdf";
/// Largest file that is opened, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn read(policy: &WorkspacePolicy, args: &Value) -> Result<Object, String> {
    let op = node_type(args);
    let path = policy
        .resolve(text(args, "file_path"))
        .map_err(|error| error.node_text(op))?;
    let shown = policy.virtual_path(&path);
    let found = std::fs::metadata(&path).map_err(|_| format!("File not found: {shown}"))?;
    if !found.is_file() {
        return Err(format!("Not a file: {shown}"));
    }
    if found.len() > MAX_FILE_BYTES {
        let size = found.len();
        return Err(format!(
            "File too large: {shown} ({size} bytes > {MAX_FILE_BYTES} bytes)"
        ));
    }
    let file = std::fs::read(&path).map_err(|error| format!("Cannot read '{shown}': {error}"))?;
    let number = |key: &str| args.get(key).and_then(Value::as_i64);
    let options = ReadOptions {
        first_page: number("page_start"),
        last_page: number("page_end"),
        max_chars: number("max_chars").and_then(|max| usize::try_from(max).ok()),
        ..ReadOptions::default()
    };
    let read =
        ag_pdf::read(&file, &options).map_err(|error| format!("Cannot read '{shown}' as PDF: {error}"))?;
    let mut metadata = read.info;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let facts = [
        ("file_name", json!(name)),
        ("file_size", file.len().into()),
        ("page_count", read.pages.into()),
        ("processed_pages", read.processed_pages.into()),
        ("content_type", CONTENT_TYPE.into()),
    ];
    metadata.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    Ok(object([
        ("content", read.content.into()),
        ("pages", read.pages.into()),
        ("processed_pages", read.processed_pages.into()),
        ("metadata", metadata.into()),
        ("warnings", read.warnings.into()),
        ("truncated", read.truncated.into()),
        ("file_path", shown.into()),
        ("content_type", CONTENT_TYPE.into()),
    ]))
}

pub(super) fn write(policy: &WorkspacePolicy, args: &Value, now: Timestamp) -> Result<Object, String> {
    let op = node_type(args);
    let path = policy
        .resolve(text(args, "file_path"))
        .map_err(|error| error.node_text(op))?;
    let shown = policy.virtual_path(&path);
    let failed = |error: std::io::Error| format!("{op} failed for '{shown}': {error}");
    let content = match args.get("content").unwrap_or(&Value::Null) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        structured @ (Value::Object(_) | Value::Array(_)) => ag_pyvalue::dumps_pretty(structured),
        other => ag_pyvalue::pystr(other).into_owned(),
    };
    let title = args.get("title").and_then(Value::as_str);
    let file = ag_pdf::write(&content, title, now).map_err(failed)?;
    policy.ensure_root().map_err(|error| error.to_string())?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(&path, &file).map_err(failed)?;
    Ok(object([
        ("bytes", file.len().into()),
        ("file_path", shown.clone().into()),
        ("sha256", BlobId::of(&file).to_string().into()),
        ("content_type", CONTENT_TYPE.into()),
    ]))
}
