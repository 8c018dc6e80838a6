//! Files as artifacts, artifacts as values, artifacts as files (node catalogue §4).

use ag_artifacts::{
    ArtifactMeta, BlobId, NewArtifact, UploadTags, declared_or_guessed, import_tags, node_reference,
    render_kind,
};
use ag_kernel::Exception;
use ag_types::{Object, json::object};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{RuntimeHost, node_type, raised, text};
use crate::{
    artifacts, attachments,
    handler::Failure,
    host::{HostFailure, HostQuestion},
};

/// Characters shown of text whose type nobody knows.
const MAX_UNKNOWN_CHARS: usize = 262_144;
/// Bytes shown of binary content.
const MAX_BINARY_BYTES: usize = 131_072;

impl RuntimeHost {
    /// A file of the workspace as an artifact of the run.
    pub(super) async fn import(&self, question: &HostQuestion<'_>) -> Result<Value, HostFailure> {
        let args = &question.call.args;
        let (op, raw) = (node_type(args).to_owned(), text(args, "file_path").to_owned());
        let limit = attachments::max_bytes(
            &Object::new(),
            &question.run.vars,
            self.parts.max_attachment_bytes,
        );
        let read = self.with_workspace(question, move |policy| {
            let path = policy.resolve(&raw).map_err(|error| error.node_text(&op))?;
            let shown = policy.virtual_path(&path);
            let found = std::fs::metadata(&path).map_err(|_| format!("File not found: {shown}"))?;
            if !found.is_file() {
                return Err(format!("Not a file: {shown}"));
            }
            if found.len() > limit {
                return Err(format!(
                    "File too large: {shown} ({} bytes > {limit} bytes)",
                    found.len()
                ));
            }
            let content = std::fs::read(&path).map_err(|error| format!("Cannot read '{shown}': {error}"))?;
            Ok((shown, Bytes::from(content)))
        });
        let (shown, content) = read.await?;
        let head = &question.run.head;
        let filename = shown.rsplit('/').next().unwrap_or(&shown);
        let content_type = declared_or_guessed(args.get("content_type").and_then(Value::as_str), filename);
        let facts = UploadTags {
            filename,
            path: &shown,
            session_id: head.session_id.as_deref().unwrap_or_default(),
            sha256: &BlobId::of(&content).to_string(),
            content_type: &content_type,
        };
        let tags = import_tags("run_input", facts, []);
        let run_id = Some(head.run_id.to_string());
        let new = NewArtifact {
            run_id,
            content_type,
            tags,
            ..NewArtifact::default()
        };
        let now = self.parts.clock.now();
        // Not part of the step's commit: a step that is planned again makes the same row again.
        let store = async {
            let stored = artifacts::store_artifact(&*self.parts.blobs, question.scope, new, content, now);
            let (meta, row) = stored.await?;
            self.parts.index.put_artifact(question.scope, row).await?;
            Ok::<_, Failure>(meta)
        };
        let failed = |error| Exception::runtime(format!("Cannot store '{shown}': {error}"));
        let meta = store.await.map_err(|error| HostFailure::of(error, failed))?;
        let reference = node_reference(&meta);
        Ok(Value::Object(object([
            ("artifact", reference.clone()),
            ("artifact_ref", reference),
            ("artifact_id", meta.artifact_id.into()),
            ("content_type", meta.content_type.into()),
            ("size_bytes", meta.size_bytes.into()),
            ("source_path", shown.into()),
        ])))
    }

    /// The content of an artifact in the form of its type.
    pub(super) async fn read_artifact(&self, question: &HostQuestion<'_>) -> Result<Value, HostFailure> {
        let (meta, content) = self.load(question).await?;
        let shown = Shown::of(&meta, &content);
        let reference = node_reference(&meta);
        Ok(Value::Object(object([
            ("artifact", reference.clone()),
            ("artifact_ref", reference),
            ("artifact_id", meta.artifact_id.as_str().into()),
            ("content_type", meta.content_type.as_str().into()),
            ("content_family", render_kind(&meta.content_type).into()),
            ("size_bytes", meta.size_bytes.into()),
            ("filename", meta.filename().into()),
            ("source_path", meta.source_path().into()),
            ("content", shown.content),
            ("text", shown.text.into()),
            ("json", shown.json),
            ("is_binary", shown.binary_base64.is_some().into()),
            ("binary_base64", shown.binary_base64.into()),
            ("truncated", (!shown.warnings.is_empty()).into()),
            ("warnings", shown.warnings.into()),
        ])))
    }

    /// The bytes of an artifact as a file of the workspace.
    pub(super) async fn export(&self, question: &HostQuestion<'_>) -> Result<Value, HostFailure> {
        let args = &question.call.args;
        let (op, raw) = (node_type(args).to_owned(), text(args, "file_path").to_owned());
        let (meta, content) = self.load(question).await?;
        let written = content.clone();
        let write = self.with_workspace(question, move |policy| {
            let path = policy.resolve(&raw).map_err(|error| error.node_text(&op))?;
            let shown = policy.virtual_path(&path);
            let failed = |error: std::io::Error| format!("{op} failed for '{shown}': {error}");
            policy.ensure_root().map_err(|error| error.to_string())?;
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            std::fs::write(&path, &written).map_err(failed)?;
            Ok(shown)
        });
        let shown = write.await?;
        Ok(Value::Object(object([
            ("artifact_id", meta.artifact_id.into()),
            ("file_path", shown.into()),
            ("bytes", content.len().into()),
            ("sha256", BlobId::of(&content).to_string().into()),
            ("content_type", meta.content_type.into()),
        ])))
    }

    async fn load(&self, question: &HostQuestion<'_>) -> Result<(ArtifactMeta, Bytes), HostFailure> {
        let id = text(&question.call.args, "artifact_id");
        let missing = || raised(format!("Artifact not found: {id}"));
        let unreadable =
            |error: String| Exception::runtime(format!("Artifact '{id}' is not readable: {error}"));
        let away = |error: Failure| HostFailure::of(error, unreadable);
        let row = self.parts.index.artifact(question.scope, id).await;
        let row = row.map_err(|error| away(error.into()))?.ok_or_else(missing)?;
        let meta: ArtifactMeta =
            serde_json::from_str(&row.meta).map_err(|error| unreadable(error.to_string()))?;
        let blob = BlobId::parse(&row.blob_id).ok_or_else(missing)?;
        let content = self
            .parts
            .blobs
            .get(&artifacts::blob_scope(question.scope), &blob)
            .await;
        let content = content.map_err(|error| away(error.into()))?.ok_or_else(missing)?;
        Ok((meta, content))
    }
}

/// Content as a node shows it; absent forms are null.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    content: Value,
    text: Option<String>,
    json: Value,
    binary_base64: Option<String>,
    /// One per cut.
    warnings: Vec<String>,
}

impl Shown {
    fn of(meta: &ArtifactMeta, content: &[u8]) -> Self {
        match render_kind(&meta.content_type) {
            "json" => match serde_json::from_slice::<Value>(content) {
                Ok(json) => Self {
                    content: json.clone(),
                    json,
                    ..Self::text(&String::from_utf8_lossy(content))
                },
                Err(_) => Self::text(&String::from_utf8_lossy(content)),
            },
            "text" | "code" | "markdown" | "html" => Self::text(&String::from_utf8_lossy(content)),
            "image" | "audio" | "video" => Self::binary(content),
            _ => match std::str::from_utf8(content) {
                Ok(text) if !text.contains('\0') => Self::unknown_text(text),
                _ => Self::binary(content),
            },
        }
    }

    fn unknown_text(text: &str) -> Self {
        match text.char_indices().nth(MAX_UNKNOWN_CHARS) {
            None => Self::text(text),
            Some((end, _)) => {
                let note = format!("#TRUNCATION: text cut to {MAX_UNKNOWN_CHARS} characters");
                Self {
                    warnings: vec![note],
                    ..Self::text(&text[..end])
                }
            }
        }
    }

    fn text(text: &str) -> Self {
        Self {
            content: text.into(),
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    fn binary(content: &[u8]) -> Self {
        let kept = &content[..content.len().min(MAX_BINARY_BYTES)];
        let data = STANDARD.encode(kept);
        let note = format!(
            "#TRUNCATION: binary content cut to {MAX_BINARY_BYTES} of {} bytes",
            content.len()
        );
        Self {
            content: json!({"encoding": "base64", "data": data}),
            binary_base64: Some(data),
            warnings: if kept.len() < content.len() {
                vec![note]
            } else {
                Vec::new()
            },
            ..Self::default()
        }
    }
}
