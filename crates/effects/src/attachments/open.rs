//! `open_attachment` (effects spec §7, provider contract §6).

use ag_artifacts::ArtifactMeta;
use ag_store::StoreError;
use ag_tools::{Object, batch::OPEN_ATTACHMENT, catalogue, normalise};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    SessionFiles,
    excerpt::{self, DEFAULT_CHARS, Range},
    handle::{Found, Wanted, candidates, display_handle, find, short_sha, suggestions},
    media::{self, Kind, kind_of},
    pdf,
};
use crate::handler::Failure;

/// Other names under which a handle may arrive.
const HANDLE_NAMES: [&str; 7] = [
    "path",
    "file_path",
    "filename",
    "file",
    "name",
    "attachment",
    "id",
];

/// What became of an `open_attachment`.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The tool's output; failures have one too, with the readable text in `rendered`.
    pub output: Value,
    /// Short failure text.
    pub error: Option<String>,
    /// Item for `_runtime.pending_media`.
    pub media: Option<Value>,
}

impl Opened {
    fn failed(error: &str, rendered: String, more: Option<(&str, Value)>) -> Self {
        let mut output = Object::new();
        output.insert("rendered".to_owned(), rendered.into());
        output.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Self {
            output: Value::Object(output),
            error: Some(error.to_owned()),
            media: None,
        }
    }
}

/// A text ready to be cut.
pub(super) struct Text {
    pub(super) text: String,
    /// How it was made where it is not the content itself.
    pub(super) derived_from: Option<&'static str>,
}

impl SessionFiles<'_> {
    /// Opens an attachment as the tool's arguments say.
    ///
    /// # Errors
    /// The store is away; everything else is an answer.
    pub async fn open(&self, arguments: &Object) -> Result<Opened, StoreError> {
        let (wanted, range) = match read_arguments(arguments) {
            Ok(read) => read,
            Err(error) => return Ok(Opened::failed(&error, error.clone(), None)),
        };
        if wanted.shown().is_empty() {
            let error = "missing artifact_id/handle";
            return Ok(Opened::failed(error, format!("open_attachment: {error}"), None));
        }
        let metas = match self.list().await.map_err(Failure::outage) {
            Ok(metas) => metas,
            Err(Ok(away)) => return Err(away),
            Err(Err(error)) => return Ok(Opened::failed(&error, format!("open_attachment: {error}"), None)),
        };
        Ok(match find(metas, &wanted) {
            Found::One(meta) => return self.show(meta, range).await,
            Found::Many(found) => {
                let names: Vec<String> = found
                    .iter()
                    .map(|meta| format!("@{} (id={})", display_handle(meta), meta.artifact_id))
                    .collect();
                let rendered = format!(
                    "Several attachments match '{}': {}. Name one by its id.",
                    wanted.shown(),
                    names.join(", ")
                );
                Opened::failed(
                    "multiple matches",
                    rendered,
                    Some(("candidates", candidates(&found).into())),
                )
            }
            Found::None => {
                let list = suggestions(metas, &wanted);
                let names: Vec<String> = list
                    .iter()
                    .filter_map(|item| Some(format!("@{}", item["handle"].as_str()?)))
                    .collect();
                let rendered = match names.is_empty() {
                    true => format!(
                        "Attachment not found: '{}'. This session has no attachments.",
                        wanted.shown()
                    ),
                    false => format!(
                        "Attachment not found: '{}'. Known: {}.",
                        wanted.shown(),
                        names.join(", ")
                    ),
                };
                Opened::failed(
                    "attachment not found",
                    rendered,
                    Some(("suggestions", list.into())),
                )
            }
        })
    }

    async fn show(&self, meta: &ArtifactMeta, range: Range) -> Result<Opened, StoreError> {
        if kind_of(&meta.content_type) == Kind::Media {
            return Ok(as_media(meta, None));
        }
        let content = match self.content(meta).await.map_err(Failure::outage) {
            Ok(content) => content,
            Err(Ok(away)) => return Err(away),
            Err(Err(error)) => return Ok(Opened::failed(&error, error.clone(), None)),
        };
        Ok(match text_of(meta, content).await {
            Ok(text) => as_text(meta, &text, range),
            Err(Unreadable::Media(reason)) => as_media(meta, Some(reason)),
            Err(Unreadable::Binary) => {
                let rendered = format!(
                    "Attachment @{} (id={}) is binary content ({}, {} bytes) that cannot be shown.",
                    display_handle(meta),
                    meta.artifact_id,
                    meta.content_type,
                    meta.size_bytes
                );
                Opened::failed("binary content", rendered, None)
            }
        })
    }
}

/// Why there is no text to show.
pub(super) enum Unreadable {
    /// The model can take the content itself; with what went wrong.
    Media(&'static str),
    /// Nobody can show it.
    Binary,
}

pub(super) async fn text_of(meta: &ArtifactMeta, content: Bytes) -> Result<Text, Unreadable> {
    let plain = |text: String| Text {
        text,
        derived_from: None,
    };
    match kind_of(&meta.content_type) {
        Kind::Text => Ok(plain(String::from_utf8_lossy(&content).into_owned())),
        Kind::Pdf => match pdf::text_of(content).await {
            Ok(text) => Ok(Text {
                text,
                derived_from: Some("pdf"),
            }),
            Err(reason) => Err(Unreadable::Media(reason)),
        },
        Kind::Media => Err(Unreadable::Media("not a text")),
        Kind::Unknown => match std::str::from_utf8(&content) {
            Ok(text) if !text.contains('\0') => Ok(plain(text.to_owned())),
            _ => Err(Unreadable::Binary),
        },
    }
}

fn as_text(meta: &ArtifactMeta, text: &Text, range: Range) -> Opened {
    let excerpt = match excerpt::cut(&text.text, range) {
        Ok(excerpt) => excerpt,
        Err(error) => return Opened::failed(&error, format!("@{}: {error}", display_handle(meta)), None),
    };
    let (handle, id, sha) = (display_handle(meta), &meta.artifact_id, short_sha(meta));
    let mut rendered = format!(
        "Attachment: {handle} (id={id}, sha={sha}, lines {}-{})\n\n{}",
        excerpt.start, excerpt.end, excerpt.numbered
    );
    if excerpt.truncated {
        let next = excerpt.end + 1;
        rendered.push_str(&format!(
            "\n\n(more follows; go on with start_line={next}, or raise max_chars)"
        ));
    }
    let mut output = facts(meta, rendered);
    output.insert("content_text".to_owned(), excerpt.content.into());
    output.insert("start_line".to_owned(), excerpt.start.into());
    output.insert("end_line".to_owned(), excerpt.end.into());
    output.insert("truncated".to_owned(), excerpt.truncated.into());
    if let Some(source) = text.derived_from {
        output.insert("derived_from".to_owned(), source.into());
    }
    Opened {
        output: Value::Object(output),
        error: None,
        media: None,
    }
}

fn as_media(meta: &ArtifactMeta, derived_error: Option<&str>) -> Opened {
    let rendered = format!(
        "Attachment: {} (id={}, sha={}, {}, {} bytes). It will be part of the next model call.",
        display_handle(meta),
        meta.artifact_id,
        short_sha(meta),
        meta.content_type,
        meta.size_bytes
    );
    let item = media::item(meta);
    let mut output = facts(meta, rendered);
    output.insert("media".to_owned(), json!([item]));
    output.insert("derived_error".to_owned(), derived_error.into());
    Opened {
        output: Value::Object(output),
        error: None,
        media: Some(item),
    }
}

fn facts(meta: &ArtifactMeta, rendered: String) -> Object {
    let mut output = Object::new();
    output.insert("rendered".to_owned(), rendered.into());
    output.insert("artifact_id".to_owned(), meta.artifact_id.as_str().into());
    output.insert("handle".to_owned(), display_handle(meta).into());
    output.insert("sha256".to_owned(), meta.blob_id.as_str().into());
    output.insert("content_type".to_owned(), meta.content_type.as_str().into());
    output.insert("size_bytes".to_owned(), meta.size_bytes.into());
    output
}

fn read_arguments(arguments: &Object) -> Result<(Wanted, Range), String> {
    let spec = catalogue::find(OPEN_ATTACHMENT).ok_or("open_attachment is not available")?;
    let normal = normalise::arguments(spec, arguments).map_err(|error| error.to_string())?;
    let text = |key: &str| {
        normal
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let number = |key: &str| normal.get(key).and_then(Value::as_i64);
    let mut wanted = Wanted {
        artifact_id: text("artifact_id"),
        handle: text("handle"),
        sha256: text("expected_sha256").to_lowercase(),
    };
    if wanted.shown().is_empty() {
        let other = HANDLE_NAMES
            .iter()
            .find_map(|name| arguments.get(*name).and_then(Value::as_str));
        wanted.handle = other.unwrap_or_default().trim().to_owned();
    }
    let range = Range {
        start: number("start_line").unwrap_or(1),
        end: number("end_line"),
        max_chars: number("max_chars").unwrap_or(DEFAULT_CHARS),
    };
    Ok((wanted, range))
}
