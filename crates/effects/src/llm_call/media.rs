//! Attachments of a call: found, read, and put where the model sees them.

use std::collections::HashSet;

use ag_artifacts::{ArtifactMeta, BlobId, guess_content_type, render_kind};
use ag_outbound::OutboundClient;
use ag_providers::media::MediaFile;
use ag_providers::{ChatMessage, ContentPart, MediaSource, MessageContent, ModelCapabilities, Role};
use ag_tools::workspace::WorkspacePolicy;
use ag_types::Object;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::hearing::Hearing;
use super::input::{Input, positive};
use super::{LlmCallSettings, linked, text_of};
use crate::artifacts::blob_scope;
use crate::{EffectCtx, Failure};

/// Texts above this are cut when they are written into the message.
const MAX_INLINE_BYTES: u64 = 120_000;
const MAX_ATTACHMENT_BYTES: u64 = 25 * 1024 * 1024;

/// Where an attachment comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    Artifact(String),
    /// In the run's workspace.
    Path(String),
    Url(String),
}

/// One attachment as asked for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    source: Source,
    content_type: Option<String>,
    filename: Option<String>,
    role: Option<String>,
}

impl Item {
    /// `"path"`, `{"$artifact" | "artifact_id", ..}` or `{url | file_path, ..}`; anything else is left out.
    fn parse(value: &Value) -> Option<Self> {
        let plain = |source| Self {
            source,
            content_type: None,
            filename: None,
            role: None,
        };
        let located = |text: String| match text.starts_with("http://")
            || text.starts_with("https://")
            || text.starts_with("data:")
        {
            true => Source::Url(text),
            false => Source::Path(text),
        };
        let map = match value {
            Value::String(_) => return ag_pyvalue::opt_str(value).map(|text| plain(located(text))),
            Value::Object(map) => map,
            _ => return None,
        };
        let first = |keys: &[&str]| keys.iter().find_map(|key| text_of(map, key));
        let artifact = first(&["$artifact", "artifact_id"]).map(Source::Artifact);
        let place = || first(&["url", "file_path", "path"]).map(located);
        Some(Self {
            source: artifact.or_else(place)?,
            content_type: first(&["content_type", "mime_type"]),
            filename: first(&["filename", "name"]),
            role: text_of(map, "role"),
        })
    }

    /// As records show it: a reference, never content.
    pub(super) fn reference(&self) -> Value {
        let mut map = Object::new();
        match &self.source {
            Source::Artifact(id) => {
                map.insert("$artifact".into(), id.as_str().into());
                map.insert("artifact_id".into(), id.as_str().into());
            }
            Source::Path(path) => {
                map.insert("file_path".into(), path.as_str().into());
            }
            // May be presigned or hold the content.
            Source::Url(url) => {
                let kind = if url.starts_with("data:") {
                    "data"
                } else {
                    "remote"
                };
                map.insert("url".into(), format!("({kind})").into());
            }
        }
        for (key, value) in [
            ("content_type", &self.content_type),
            ("filename", &self.filename),
            ("role", &self.role),
        ] {
            map.extend(value.as_ref().map(|value| (key.to_owned(), json!(value))));
        }
        Value::Object(map)
    }

    /// Name for people and models.
    pub(super) fn label(&self) -> &str {
        let fallback = match &self.source {
            Source::Artifact(id) => id,
            Source::Path(path) => path.rsplit('/').next().unwrap_or(path),
            Source::Url(_) => "link",
        };
        self.filename.as_deref().unwrap_or(fallback)
    }

    pub(super) fn artifact_id(&self) -> Option<&str> {
        match &self.source {
            Source::Artifact(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }
}

/// Attachments that tools of earlier steps queued.
pub(super) fn pending(input: &Input<'_>) -> Vec<Value> {
    input
        .runtime("pending_media")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// Attachments of the payload, then the queued ones, each once.
pub(super) fn items(input: &Input<'_>, pending: &[Value]) -> Vec<Item> {
    let own = match input.payload().get("media") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let mut seen = HashSet::new();
    let parsed = own.iter().chain(pending).filter_map(Item::parse);
    parsed.filter(|item| seen.insert(item.source.clone())).collect()
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    inline: u64,
    attachment: u64,
}

impl Limits {
    pub(super) fn new(input: &Input<'_>, settings: &LlmCallSettings) -> Self {
        let host = Some(settings.max_attachment_bytes).filter(|limit| *limit > 0);
        Self {
            inline: positive(input.param("max_inline_attachment_bytes")).unwrap_or(MAX_INLINE_BYTES),
            attachment: positive(input.runtime("max_attachment_bytes"))
                .or(host)
                .unwrap_or(MAX_ATTACHMENT_BYTES),
        }
    }
}

/// What reading attachments needs.
pub(super) struct Reader<'a> {
    pub(super) ctx: &'a EffectCtx<'a>,
    pub(super) limits: Limits,
    pub(super) hearing: Hearing<'a>,
    pub(super) capabilities: &'a ModelCapabilities,
}

/// An attachment in memory.
struct Loaded {
    label: String,
    content_type: String,
    data: Bytes,
}

/// An attachment that is there, or that the model's server fetches.
enum Given<'a> {
    Loaded(Loaded),
    Linked(&'a str),
}

/// Reads the attachments and adds them to the last user message: texts written out, pictures and sounds as parts.
/// Returns what a person should know. Everything is read before anything is written down, which costs money.
///
/// # Errors
/// [`Failure`].
pub(super) async fn attach(
    reader: &Reader<'_>,
    items: &[Item],
    conversation: &mut Vec<ChatMessage>,
) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    if items.is_empty() {
        return Ok(warnings);
    }
    let at = match conversation
        .iter()
        .rposition(|message| message.role == Role::User)
    {
        Some(at) => at,
        None => {
            conversation.push(ChatMessage::user(""));
            conversation.len() - 1
        }
    };
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        all.push(match &item.source {
            Source::Url(url) if data_url(url).is_none() => Given::Linked(url),
            _ => Given::Loaded(load(reader.ctx, item, &reader.limits).await?),
        });
    }
    let mut parts = Vec::new();
    for given in all {
        let mut loaded = match given {
            Given::Linked(url) => {
                parts.push(ContentPart::Image(MediaSource::Url(url.to_owned())));
                continue;
            }
            Given::Loaded(loaded) => loaded,
        };
        if bare(&loaded.content_type).starts_with("audio/") && reader.hearing.writes_down(reader.capabilities)
        {
            let Loaded {
                label,
                content_type,
                data,
            } = loaded;
            let file = MediaFile {
                filename: label.clone(),
                content_type,
                data,
            };
            let text = reader.hearing.transcribe(reader.ctx, file).await?;
            loaded = Loaded {
                label,
                content_type: "text/plain".to_owned(),
                data: text.into(),
            };
        }
        if is_text(&loaded.content_type) {
            append(
                &mut conversation[at].content,
                &written_out(&loaded, reader.limits.inline, &mut warnings),
            );
        } else {
            parts.push(part(loaded, reader.capabilities)?);
        }
    }
    if !parts.is_empty() {
        let content = &mut conversation[at].content;
        let mut all = match std::mem::replace(content, MessageContent::Text(String::new())) {
            MessageContent::Text(text) if text.is_empty() => Vec::new(),
            MessageContent::Text(text) => vec![ContentPart::Text(text)],
            MessageContent::Parts(parts) => parts,
        };
        all.append(&mut parts);
        *content = MessageContent::Parts(all);
    }
    Ok(warnings)
}

async fn load(ctx: &EffectCtx<'_>, item: &Item, limits: &Limits) -> Result<Loaded, Failure> {
    match &item.source {
        Source::Artifact(id) => artifact(ctx, item, id, limits.attachment).await,
        Source::Path(path) => Ok(file(ctx, item, path, limits.attachment).await?),
        Source::Url(url) => match data_url(url) {
            Some(MediaSource::Inline { content_type, data }) if data.len() as u64 <= limits.attachment => {
                Ok(Loaded {
                    label: item.label().to_owned(),
                    content_type,
                    data,
                })
            }
            _ => Err(too_large(item.label(), limits.attachment).into()),
        },
    }
}

fn too_large(label: &str, limit: u64) -> String {
    format!("Attachment '{label}' is larger than {limit} bytes")
}

async fn artifact(ctx: &EffectCtx<'_>, item: &Item, id: &str, limit: u64) -> Result<Loaded, Failure> {
    let missing = || format!("Artifact '{id}' not found");
    let row = ctx.store.artifact(ctx.scope, id).await?.ok_or_else(missing)?;
    let meta: Option<ArtifactMeta> = serde_json::from_str(&row.meta).ok();
    let named = meta
        .as_ref()
        .and_then(|meta| meta.filename().or_else(|| meta.source_path()));
    let label = item.filename.as_deref().or(named).unwrap_or(id).to_owned();
    if u64::try_from(row.size_bytes).unwrap_or(0) > limit {
        return Err(too_large(&label, limit).into());
    }
    let blob = BlobId::parse(&row.blob_id).ok_or_else(missing)?;
    let data = ctx.blobs.get(&blob_scope(ctx.scope), &blob).await?;
    let data = data.ok_or_else(missing)?;
    Ok(Loaded {
        label,
        content_type: row.content_type,
        data,
    })
}

/// An attachment as a file for a server that works on media; `None` for what is no attachment.
///
/// # Errors
/// [`Failure`].
pub(super) async fn file_of(
    ctx: &EffectCtx<'_>,
    value: &Value,
    limits: &Limits,
    http: Option<&OutboundClient>,
) -> Result<Option<MediaFile>, Failure> {
    let Some(item) = Item::parse(value) else {
        return Ok(None);
    };
    let (label, content_type, data) = match &item.source {
        Source::Url(url) if data_url(url).is_none() => {
            let fetched = linked::load(ctx, http, url, limits.attachment).await?;
            let told = item.content_type.clone().unwrap_or(fetched.content_type);
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let last = path.rsplit('/').next().filter(|name| !name.is_empty());
            let label = item.filename.as_deref().or(last).unwrap_or("link").to_owned();
            (label, told, fetched.data)
        }
        _ => {
            let loaded = load(ctx, &item, limits).await?;
            (loaded.label, loaded.content_type, loaded.data)
        }
    };
    Ok(Some(MediaFile {
        filename: named(&label, &content_type),
        content_type: bare(&content_type),
        data,
    }))
}

/// Servers tell formats by the ending of a file's name.
fn named(label: &str, content_type: &str) -> String {
    let name = label.rsplit('/').next().unwrap_or(label);
    if name.contains('.') {
        return name.to_owned();
    }
    let mime = bare(content_type);
    let ending = match mime.split_once('/') {
        Some((_, "mpeg")) => "mp3",
        Some((_, "x-wav" | "wave")) => "wav",
        Some((_, ending)) => ending.trim_start_matches("x-"),
        None => "bin",
    };
    format!("{name}.{ending}")
}

/// A file of the run's workspace; other files of the machine are not reachable.
async fn file(ctx: &EffectCtx<'_>, item: &Item, path: &str, limit: u64) -> Result<Loaded, String> {
    let policy = WorkspacePolicy::from_vars(&ctx.run.vars).map_err(|error| error.to_string())?;
    let policy =
        policy.ok_or_else(|| format!("Media file '{path}' cannot be read: the run has no workspace"))?;
    let name = path.to_owned();
    let read = move || -> Result<Vec<u8>, String> {
        let unreadable = |_| format!("Media file '{name}' not found");
        let real = policy.resolve(&name).map_err(|error| error.to_string())?;
        if std::fs::metadata(&real).map_err(unreadable)?.len() > limit {
            return Err(too_large(&name, limit));
        }
        std::fs::read(&real).map_err(unreadable)
    };
    let data = tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| format!("Media file '{path}' not found"))??;
    let content_type = item
        .content_type
        .clone()
        .unwrap_or_else(|| guess_content_type(path));
    Ok(Loaded {
        label: item.label().to_owned(),
        content_type,
        data: data.into(),
    })
}

fn is_text(content_type: &str) -> bool {
    let mime = bare(content_type);
    let by_kind = matches!(render_kind(&mime), "code" | "json" | "markdown" | "html" | "text");
    let structured = ["yaml", "xml", "toml", "csv", "sql", "x-sh"]
        .iter()
        .any(|word| mime.contains(word));
    by_kind
        || mime.starts_with("text/")
        || (mime.starts_with("application/") && structured && !mime.contains("openxml"))
}

fn bare(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn written_out(loaded: &Loaded, limit: u64, warnings: &mut Vec<String>) -> String {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (shown, size) = (loaded.data.len().min(limit), loaded.data.len());
    let mut text = String::from_utf8_lossy(&loaded.data[..shown]).into_owned();
    let label = &loaded.label;
    if shown < size {
        // A character cut in the middle.
        while text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        text.push_str(&format!("\n[... {shown} of {size} bytes shown ...]"));
        warnings.push(format!("Attachment '{label}' was cut to {shown} of {size} bytes"));
    }
    format!("\n\n--- Content from {label} ---\n{text}\n--- End of {label} ---")
}

fn append(content: &mut MessageContent, addition: &str) {
    match content {
        MessageContent::Text(text) => text.push_str(addition),
        MessageContent::Parts(parts) => match parts.iter_mut().rev().find_map(text_part) {
            Some(text) => text.push_str(addition),
            None => parts.push(ContentPart::Text(addition.to_owned())),
        },
    }
}

fn text_part(part: &mut ContentPart) -> Option<&mut String> {
    match part {
        ContentPart::Text(text) => Some(text),
        _ => None,
    }
}

/// Pictures go to every model, because the table does not know every model that sees; sounds go to models that are
/// not known to be deaf.
fn part(loaded: Loaded, capabilities: &ModelCapabilities) -> Result<ContentPart, String> {
    let mime = bare(&loaded.content_type);
    let Loaded {
        label,
        content_type,
        data,
    } = loaded;
    let source = MediaSource::Inline {
        content_type: mime.clone(),
        data,
    };
    match mime.split_once('/') {
        Some(("image", _)) => Ok(ContentPart::Image(source)),
        Some(("audio", kind)) if capabilities.audio || capabilities.source == "default" => {
            let format = match kind {
                "mpeg" | "mp3" => "mp3",
                "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
                other => other.trim_start_matches("x-"),
            };
            Ok(ContentPart::Audio {
                source,
                format: format.to_owned(),
            })
        }
        Some(("application", "pdf")) => Ok(ContentPart::File {
            source,
            filename: label,
        }),
        _ => Err(format!(
            "Attachment '{label}' ({content_type}) cannot be given to this model"
        )),
    }
}

/// The content of a base64 `data:` URL.
pub(super) fn data_url(url: &str) -> Option<MediaSource> {
    let (head, body) = url.strip_prefix("data:")?.split_once(',')?;
    let content_type = head.strip_suffix(";base64")?.to_owned();
    let data = STANDARD.decode(body.trim()).ok()?.into();
    Some(MediaSource::Inline { content_type, data })
}
