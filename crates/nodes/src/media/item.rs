//! Media items: images and recordings as attachments of a request.

use crate::prelude::*;

/// Names of the image to work on.
pub(super) const SOURCE_IMAGE: [&str; 10] = [
    "image_artifact",
    "source_image",
    "sourceImage",
    "input_image",
    "inputImage",
    "image",
    "artifact",
    "file_path",
    "filePath",
    "source",
];

/// Names of the mask.
pub(super) const MASK: [&str; 5] = ["mask_artifact", "mask_image", "maskImage", "image_mask", "mask"];

/// Names of the recording to work on.
pub(super) const SOURCE_AUDIO: [&str; 8] = [
    "audio_artifact",
    "source_audio",
    "sourceAudio",
    "audio",
    "artifact",
    "file_path",
    "filePath",
    "source",
];

/// An image as a media item in a role.
pub(super) fn image(value: &Value, role: &str) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            let mut item = fields.clone();
            item.insert("type".to_owned(), "image".into());
            if !["role", "purpose", "kind"]
                .iter()
                .any(|key| item.contains_key(*key))
            {
                item.insert("role".to_owned(), role.into());
            }
            Some(Value::Object(item))
        }
        Value::String(_) => {
            let text = opt_str(value)?;
            let remote = ["http://", "https://", "data:"]
                .iter()
                .any(|scheme| text.starts_with(scheme));
            let key = if remote { "url" } else { local_key(&text) };
            Some(json!({"type": "image", "role": role, key: text}))
        }
        _ => None,
    }
}

/// A recording as a media item.
pub(super) fn audio(value: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            let mut item = fields.clone();
            item.entry("type").or_insert_with(|| "audio".into());
            Some(Value::Object(item))
        }
        Value::String(_) => {
            let text = opt_str(value)?;
            Some(json!({local_key(&text): text, "type": "audio"}))
        }
        _ => None,
    }
}

/// Paths begin with `/` or `~`; everything else is the id of an artifact.
fn local_key(text: &str) -> &'static str {
    if text.starts_with(['/', '~']) {
        "file_path"
    } else {
        "$artifact"
    }
}
