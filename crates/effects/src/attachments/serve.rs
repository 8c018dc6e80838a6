//! Tool calls about a path that the workspace does not have, answered from an attachment with that handle.

use ag_artifacts::ArtifactMeta;
use ag_store::StoreError;
use ag_tools::Object;
use bytes::Bytes;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{
    Opened, SessionFiles,
    handle::{Found, Wanted, display_handle, find},
    open::text_of,
};
use crate::handler::Failure;

/// Hits of a search in one attachment, and characters of a line.
const DEFAULT_HITS: usize = 8;
const MAX_HITS: usize = 1000;
const MAX_LINE_CHARS: usize = 400;
/// Compiled size of a pattern.
const MAX_PATTERN_BYTES: usize = 4 * 1024 * 1024;

/// Names of the argument that holds the path.
const PATH_NAMES: [&str; 8] = [
    "file_path",
    "directory_path",
    "path",
    "paths",
    "filename",
    "file",
    "filePath",
    "directory",
];

impl SessionFiles<'_> {
    /// The answer of a reading tool from the attachment that its path names; `None` when the tool does not read or
    /// nothing, or more than one attachment, bears that name. `arguments` are the model's own.
    ///
    /// # Errors
    /// The store is away.
    pub async fn serve(&self, tool: &str, arguments: &Object) -> Result<Option<Opened>, StoreError> {
        let Some(handle) = path_argument(arguments) else {
            return Ok(None);
        };
        if !matches!(tool, "read_file" | "skim_files" | "list_files" | "search_files") {
            return Ok(None);
        }
        let metas = match self.list().await.map_err(Failure::outage) {
            Ok(metas) => metas,
            Err(Ok(away)) => return Err(away),
            Err(Err(_)) => return Ok(None),
        };
        let wanted = Wanted {
            handle,
            ..Wanted::default()
        };
        let Found::One(meta) = find(metas, &wanted) else {
            return Ok(None);
        };
        let text = match tool {
            "list_files" => Some(listed(meta)),
            "search_files" => match arguments.get("pattern").and_then(Value::as_str) {
                Some(pattern) => match self.content(meta).await.map_err(Failure::outage) {
                    Ok(content) => search(meta, content, pattern.to_owned(), arguments).await,
                    Err(Ok(away)) => return Err(away),
                    Err(Err(_)) => None,
                },
                None => None,
            },
            _ => {
                let opened = self.open(&with_id(meta, arguments)).await?;
                return Ok(Some(opened).filter(|opened| opened.error.is_none()));
            }
        };
        Ok(text.map(|text| Opened {
            output: text.into(),
            error: None,
            media: None,
        }))
    }
}

async fn search(meta: &ArtifactMeta, content: Bytes, pattern: String, arguments: &Object) -> Option<String> {
    let hits = arguments
        .get("max_hits")
        .and_then(ag_pyvalue::opt_int)
        .and_then(|n| usize::try_from(n).ok());
    let hits = hits.unwrap_or(DEFAULT_HITS).clamp(1, MAX_HITS);
    let regex = RegexBuilder::new(&pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .ok()?;
    let text = text_of(meta, content).await.ok()?.text;
    let handle = display_handle(meta).to_owned();
    // A large text takes as long as any file search.
    let search = move || {
        matches(&text, &regex, hits).map_or_else(
        || format!("No matches found for pattern '{pattern}'"),
        |lines| format!("Search results for pattern '{pattern}' under '@{handle}' in 1 files:\n\n{handle}:\n{lines}"),
    )
    };
    tokio::task::spawn_blocking(search).await.ok()
}

fn matches(text: &str, regex: &Regex, hits: usize) -> Option<String> {
    let mut found = text
        .lines()
        .zip(1_usize..)
        .filter(|(line, _)| regex.is_match(line));
    let mut lines: Vec<String> = found
        .by_ref()
        .take(hits)
        .map(|(line, number)| format!("    {number}: {}", short(line)))
        .collect();
    if found.next().is_some() {
        lines.push("    …".to_owned());
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn listed(meta: &ArtifactMeta) -> String {
    let handle = display_handle(meta);
    format!(
        "'@{handle}' is an attachment of this session:\n  {} ({} bytes)\nRead it with open_attachment(artifact_id=\"{}\").",
        meta.filename().unwrap_or(handle),
        meta.size_bytes,
        meta.artifact_id
    )
}

/// The arguments of `open_attachment` for a reading call: the range is kept.
fn with_id(meta: &ArtifactMeta, arguments: &Object) -> Object {
    let mut open = Object::new();
    open.insert("artifact_id".to_owned(), meta.artifact_id.as_str().into());
    for (key, value) in arguments {
        let name = match key.replace('_', "").to_lowercase().as_str() {
            "startline" | "start" => "start_line",
            "endline" | "end" => "end_line",
            _ => continue,
        };
        open.insert(name.to_owned(), value.clone());
    }
    open
}

fn path_argument(arguments: &Object) -> Option<String> {
    let value = PATH_NAMES.iter().find_map(|name| arguments.get(*name))?;
    let text = match value {
        Value::Array(items) => items.first()?.as_str()?,
        other => other.as_str()?,
    };
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn short(line: &str) -> &str {
    line.char_indices()
        .nth(MAX_LINE_CHARS)
        .map_or(line, |(at, _)| &line[..at])
}
