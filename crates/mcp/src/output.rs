//! What a server returned, as a tool's output.

use ag_tools::{SourceAnswer, ToolMedia};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

/// Type of bytes whose server names none.
const UNKNOWN: &str = "application/octet-stream";

/// Longest output text; more would fill a model's context and the run's state.
pub(crate) const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// Pieces of content of one answer, and the size of one in bytes; others are named only.
const MAX_MEDIA: usize = 16;
const MAX_MEDIA_BYTES: usize = 25 * 1024 * 1024;

/// The texts of an answer, or its structured content where it has no text. Pictures, sounds and other bytes are named in
/// the text and come beside it.
///
/// # Errors
/// The text of an answer that the server marked as an error.
pub(crate) fn output(result: CallToolResult) -> Result<SourceAnswer, String> {
    let failed = result.is_error == Some(true);
    let mut texts: Vec<String> = Vec::new();
    let mut media: Vec<ToolMedia> = Vec::new();
    for block in &result.content {
        let mut keep = |content_type: &str, encoded: &str| {
            let fits = media.len() < MAX_MEDIA && encoded.len() / 4 * 3 <= MAX_MEDIA_BYTES;
            if let Some(data) = fits.then(|| STANDARD.decode(encoded).ok()).flatten() {
                media.push(ToolMedia {
                    content_type: content_type.to_owned(),
                    data: data.into(),
                });
            }
        };
        texts.push(match block {
            ContentBlock::Text(text) => text.text.clone(),
            ContentBlock::Image(image) => {
                keep(&image.mime_type, &image.data);
                named("image", &image.mime_type, image.data.len())
            }
            ContentBlock::Audio(audio) => {
                keep(&audio.mime_type, &audio.data);
                named("audio", &audio.mime_type, audio.data.len())
            }
            ContentBlock::Resource(resource) => match &resource.resource {
                ResourceContents::TextResourceContents { text, .. } => text.clone(),
                ResourceContents::BlobResourceContents {
                    uri, mime_type, blob, ..
                } => {
                    keep(mime_type.as_deref().unwrap_or(UNKNOWN), blob);
                    format!("[resource {uri}]")
                }
                _ => "[resource]".to_owned(),
            },
            ContentBlock::ResourceLink(link) => format!("[resource {}]", link.uri),
            _ => "[content of an unknown kind]".to_owned(),
        });
    }
    let text = cut(texts.join("\n"));
    if failed {
        let text = text.trim();
        return Err(if text.is_empty() {
            "Tool reported failure".to_owned()
        } else {
            text.to_owned()
        });
    }
    let output = match result.structured_content {
        // Small enough to be kept as data; otherwise its text stands for it.
        Some(data) if text.trim().is_empty() => {
            let written = data.to_string();
            if written.len() <= MAX_OUTPUT_BYTES {
                data
            } else {
                Value::String(cut(written))
            }
        }
        _ => Value::String(text),
    };
    Ok(SourceAnswer { output, media })
}

/// `encoded` is the length in base64.
fn named(kind: &str, mime_type: &str, encoded: usize) -> String {
    format!("[{kind} {mime_type}, {} bytes]", encoded / 4 * 3)
}

fn cut(mut text: String) -> String {
    if text.len() <= MAX_OUTPUT_BYTES {
        return text;
    }
    let whole = text.len();
    let mut end = MAX_OUTPUT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&format!("\n... (cut: {whole} bytes in all)"));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Value, String> {
        output(serde_json::from_value(value).expect("result")).map(|answer| answer.output)
    }

    #[test]
    fn bytes_come_beside_the_text() {
        let content = json!([{"type": "text", "text": "a"}, {"type": "image", "data": "AAEC", "mimeType": "image/png"},
            {"type": "image", "data": "not base64", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "u", "blob": "AAEC", "mimeType": "audio/wav"}}]);
        let answer =
            output(serde_json::from_value(json!({"content": content})).expect("result")).expect("output");
        let media: Vec<(&str, &[u8])> = answer
            .media
            .iter()
            .map(|media| (media.content_type.as_str(), &media.data[..]))
            .collect();
        assert_eq!(
            media,
            [("image/png", &[0, 1, 2][..]), ("audio/wav", &[0, 1, 2][..])]
        );
    }

    #[test]
    fn texts_data_and_failures() {
        let content = json!([{"type": "text", "text": "a"}, {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "u", "text": "b"}}]);
        assert_eq!(
            read(json!({"content": content})),
            Ok(json!("a\n[image image/png, 3 bytes]\nb"))
        );
        assert_eq!(
            read(json!({"content": [], "structuredContent": {"x": 1}})),
            Ok(json!({"x": 1}))
        );
        assert_eq!(
            read(json!({"content": [{"type": "text", "text": "no"}], "isError": true})),
            Err("no".to_owned())
        );
        assert_eq!(
            read(json!({"content": [], "isError": true})),
            Err("Tool reported failure".to_owned())
        );
        let long = "é".repeat(MAX_OUTPUT_BYTES);
        let text = read(json!({"content": [{"type": "text", "text": long}]})).expect("text");
        let text = text.as_str().expect("text");
        assert!(text.len() < MAX_OUTPUT_BYTES + 100 && text.ends_with("(cut: 2097152 bytes in all)"));
    }
}
