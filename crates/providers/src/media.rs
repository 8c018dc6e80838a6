//! Embeddings, pictures, speech and model lists.

use std::time::Duration;

use bytes::Bytes;

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

/// A made picture.
#[derive(Clone, Debug)]
pub struct ImageReply {
    /// Content.
    pub data: Bytes,
    /// Taken from the bytes where they tell.
    pub content_type: String,
    /// The server's rewording of the prompt.
    pub revised_prompt: Option<String>,
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
