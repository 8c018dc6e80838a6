//! The route keys of the contract.

/// A route key with what is shown for it.
pub(super) struct RouteKey {
    /// `kind.modality` or `kind.modality.task`.
    pub(super) key: &'static str,
    /// Shown to people.
    pub(super) label: &'static str,
    /// Default task.
    pub(super) task: &'static str,
}

const fn row(key: &'static str, label: &'static str, task: &'static str) -> RouteKey {
    RouteKey { key, label, task }
}

/// All of them, in the order of the page.
pub(super) const KEYS: [RouteKey; 22] = [
    row("input.text", "Text input", "text_understanding"),
    row("input.image", "Image input", "image_understanding"),
    row("input.video", "Video input", "video_understanding"),
    row("input.voice", "Voice input", "speech_to_text"),
    row("input.sound", "Sound input", "audio_understanding"),
    row("input.music", "Music input", "music_understanding"),
    row("input.scene3d", "3D scene input", "scene3d_understanding"),
    row("output.text", "Text output", "text_generation"),
    row("output.image", "Image output", "image_generation"),
    row(
        "output.image.text_to_image",
        "Image output: text to image",
        "text_to_image",
    ),
    row(
        "output.image.image_to_image",
        "Image output: image to image",
        "image_to_image",
    ),
    row(
        "output.image.image_upscale",
        "Image output: upscaling",
        "image_upscale",
    ),
    row("output.video", "Video output", "video_generation"),
    row(
        "output.video.text_to_video",
        "Video output: text to video",
        "text_to_video",
    ),
    row(
        "output.video.image_to_video",
        "Video output: image to video",
        "image_to_video",
    ),
    row("output.voice", "Voice output", "text_to_speech"),
    row("output.sound", "Sound output", "sound_generation"),
    row("output.music", "Music output", "music_generation"),
    row("output.scene3d", "3D scene output", "scene3d_generation"),
    row("embedding.text", "Text embedding", "text_embedding"),
    row("embedding.image", "Image embedding", "image_embedding"),
    row("rerank.text", "Text reranking", "text_rerank"),
];

/// Whether a key exists.
pub(super) fn is_known(key: &str) -> bool {
    KEYS.iter().any(|row| row.key == key)
}

/// Where a key's value lives: `output.text` is `input.text` under another name.
pub(super) fn stored_key(key: &str) -> &str {
    if key == "output.text" { "input.text" } else { key }
}
