//! Which contents are text, which go to the model as media, and which neither.

use ag_artifacts::{ArtifactMeta, render_kind};
use serde_json::{Value, json};

const TEXT_TYPES: [&str; 7] = [
    "application/xml",
    "application/x-yaml",
    "application/yaml",
    "application/toml",
    "application/sql",
    "application/x-ndjson",
    "application/rtf",
];

/// How an attachment is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines of text.
    Text,
    /// Text inside a PDF.
    Pdf,
    /// Something a model sees or hears.
    Media,
    /// Nobody knows: text if it reads as text.
    Unknown,
}

/// Kind of content of this type.
pub(super) fn kind_of(content_type: &str) -> Kind {
    let bare = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if bare.ends_with("/pdf") {
        return Kind::Pdf;
    }
    match render_kind(&bare) {
        "code" | "json" | "markdown" | "html" | "text" => Kind::Text,
        "image" | "audio" | "video" | "document" => Kind::Media,
        _ if TEXT_TYPES.contains(&bare.as_str()) || bare.ends_with("+xml") => Kind::Text,
        _ => Kind::Unknown,
    }
}

/// The item for `_runtime.pending_media`, which the next model call takes along.
pub(super) fn item(meta: &ArtifactMeta) -> Value {
    json!({
        "$artifact": meta.artifact_id,
        "filename": meta.filename(),
        "source_path": meta.source_path(),
        "content_type": meta.content_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_type() {
        for (content_type, kind) in [
            ("text/plain; charset=utf-8", Kind::Text),
            ("application/json", Kind::Text),
            ("text/x-python", Kind::Text),
            ("application/xml", Kind::Text),
            ("application/pdf", Kind::Pdf),
            ("image/svg+xml", Kind::Media),
            ("audio/x-wav", Kind::Media),
            ("application/octet-stream", Kind::Unknown),
            ("application/zip", Kind::Unknown),
            ("", Kind::Unknown),
        ] {
            assert_eq!(kind_of(content_type), kind, "{content_type}");
        }
    }
}
