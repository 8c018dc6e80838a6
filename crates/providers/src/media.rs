//! Embeddings, generated media, speech and model lists.

use std::time::Duration;

use bytes::Bytes;

use crate::Object;
use crate::chat::Usage;

/// Texts to embed.
#[derive(Clone, Debug, Default)]
pub struct EmbedRequest {
    /// Model name.
    pub model: String,
    /// In order.
    pub input: Vec<String>,
    /// Shorter vectors, for models that can.
    pub dimensions: Option<u32>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// One vector per text, in the order of the request.
#[derive(Clone, Debug, Default)]
pub struct EmbedReply {
    /// Model as the server named it.
    pub model: String,
    /// Equal lengths.
    pub vectors: Vec<Vec<f32>>,
    /// Token counts.
    pub usage: Option<Usage>,
}

/// A picture to make, or to change when `images` is not empty.
#[derive(Clone, Debug, Default)]
pub struct ImageRequest {
    /// Model name.
    pub model: String,
    /// What to show.
    pub prompt: String,
    /// Pictures to start from.
    pub images: Vec<MediaFile>,
    /// Where to change, for edits.
    pub mask: Option<MediaFile>,
    /// `WxH`.
    pub size: Option<String>,
    /// As the server names it.
    pub quality: Option<String>,
    /// As the server names it.
    pub style: Option<String>,
    /// For edits, 0 to 1.
    pub strength: Option<f64>,
    /// How many; 0 counts as 1.
    pub count: u32,
    /// Further options by their contract names (`seed`, `steps`, ..); a wire that does not know them drops them.
    pub options: Object,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// A picture to enlarge or restore.
#[derive(Clone, Debug, Default)]
pub struct UpscaleRequest {
    /// Model name; empty = the server's own.
    pub model: String,
    /// The picture.
    pub image: MediaFile,
    /// Options by their contract names (`scale`, `resolution`, `softness`, ..).
    pub options: Object,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// A video to make.
#[derive(Clone, Debug, Default)]
pub struct VideoRequest {
    /// Model name; empty = the server's own.
    pub model: String,
    /// What to show.
    pub prompt: String,
    /// Picture that it begins with.
    pub image: Option<MediaFile>,
    /// How many; 0 counts as 1.
    pub count: u32,
    /// Options by their contract names (`width`, `fps`, `num_frames`, ..).
    pub options: Object,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// Music or another sound to make.
#[derive(Clone, Debug, Default)]
pub struct MusicRequest {
    /// Model name; empty = the server's own.
    pub model: String,
    /// `text_to_music`, `text_to_audio`, ...
    pub task: String,
    /// What to hear.
    pub prompt: String,
    /// `wav`, `mp3`, ...
    pub format: String,
    /// Options by their contract names (`lyrics`, `duration_s`, ..).
    pub options: Object,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// A file to upload.
#[derive(Clone, Debug, Default)]
pub struct MediaFile {
    /// As shown to the server.
    pub filename: String,
    /// MIME type.
    pub content_type: String,
    /// Content.
    pub data: Bytes,
}

/// A made picture, video or sound.
#[derive(Clone, Debug, Default)]
pub struct MediaReply {
    /// Content.
    pub data: Bytes,
    /// Taken from the bytes where they tell.
    pub content_type: String,
    /// The server's rewording of the prompt.
    pub revised_prompt: Option<String>,
    /// How it came: `b64_json` or `url`.
    pub sent_as: Option<&'static str>,
}

/// Text to speak.
#[derive(Clone, Debug, Default)]
pub struct SpeechRequest {
    /// Model name.
    pub model: String,
    /// Text.
    pub input: String,
    /// Voice name.
    pub voice: String,
    /// `mp3`, `wav`, ...
    pub format: String,
    /// How to speak.
    pub instructions: Option<String>,
    /// 1 = normal.
    pub speed: Option<f64>,
    /// Further options by their contract names (`profile`, `quality_preset`); see [`ImageRequest::options`].
    pub options: Object,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// A recording.
#[derive(Clone, Debug)]
pub struct SpeechReply {
    /// Content.
    pub data: Bytes,
    /// As the server named it.
    pub content_type: String,
}

/// A recording to write down.
#[derive(Clone, Debug, Default)]
pub struct TranscribeRequest {
    /// Model name.
    pub model: String,
    /// The recording.
    pub file: MediaFile,
    /// ISO language; the server guesses when unset.
    pub language: Option<String>,
    /// Words to expect.
    pub prompt: Option<String>,
    /// Sampling.
    pub temperature: Option<f64>,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Text.
    pub text: String,
}

/// A model a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name to ask for.
    pub id: String,
    /// Context length the server itself reports; wins over the table for local servers.
    pub context_length: Option<u64>,
}

/// A model in a server's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedModel {
    /// Model name.
    pub model: String,
    /// The server's handle of the instance.
    pub instance_id: Option<String>,
    /// Whether the server says that it is loaded.
    pub loaded: bool,
}
