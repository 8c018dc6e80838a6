//! The ports. Each call ends within moments of its token's cancellation with [`ProviderError::Cancelled`].

use async_trait::async_trait;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::Object;
use crate::chat::{ChatDelta, ChatReply, ChatRequest};
use crate::error::ProviderError;
use crate::media::{
    EmbedReply, EmbedRequest, ImageRequest, LoadedModel, MediaReply, ModelInfo, MusicRequest, SpeechReply,
    SpeechRequest, TranscribeRequest, Transcript, UpscaleRequest, VideoRequest,
};

/// Receives the pieces of a streamed answer.
pub type DeltaSink<'a> = &'a (dyn Fn(ChatDelta) + Send + Sync);

/// Receives what a server tells about a long job while it runs (`step`, `total_steps`, `progress`, ..), in its words.
pub type ProgressSink<'a> = &'a (dyn Fn(Object) + Send + Sync);

/// Conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Asks for one answer. A `sink` is told its pieces as they come; the reply is whole nevertheless.
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError>;

    /// Asks for one answer.
    async fn chat(&self, req: ChatRequest, cancel: CancellationToken) -> Result<ChatReply, ProviderError> {
        self.ask(req, cancel, None).await
    }

    /// Asks for one answer and reports its pieces.
    async fn chat_streaming(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: DeltaSink<'_>,
    ) -> Result<ChatReply, ProviderError> {
        self.ask(req, cancel, Some(sink)).await
    }
}

/// Vectors of texts.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// One vector per text.
    async fn embed(&self, req: EmbedRequest, cancel: CancellationToken) -> Result<EmbedReply, ProviderError>;
}

/// Pictures.
#[async_trait]
pub trait ImageModel: Send + Sync {
    /// Makes or changes pictures; at least one.
    async fn image(
        &self,
        req: ImageRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError>;
}

/// Larger or cleaner pictures.
#[async_trait]
pub trait Upscaler: Send + Sync {
    /// Enlarges or restores one picture.
    async fn upscale(
        &self,
        req: UpscaleRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError>;
}

/// Videos.
#[async_trait]
pub trait VideoModel: Send + Sync {
    /// Makes videos from a text, or from a picture and a text; at least one.
    async fn video(
        &self,
        req: VideoRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError>;
}

/// Music and other sounds.
#[async_trait]
pub trait MusicModel: Send + Sync {
    /// Makes one piece.
    async fn music(&self, req: MusicRequest, cancel: CancellationToken) -> Result<MediaReply, ProviderError>;
}

/// Text to speech.
#[async_trait]
pub trait SpeechModel: Send + Sync {
    /// Speaks a text.
    async fn speak(
        &self,
        req: SpeechRequest,
        cancel: CancellationToken,
    ) -> Result<SpeechReply, ProviderError>;
}

/// Speech to text.
#[async_trait]
pub trait Transcriber: Send + Sync {
    /// Writes a recording down.
    async fn transcribe(
        &self,
        req: TranscribeRequest,
        cancel: CancellationToken,
    ) -> Result<Transcript, ProviderError>;
}

/// What a server offers.
#[async_trait]
pub trait ModelCatalogue: Send + Sync {
    /// All models, sorted by name.
    async fn list_models(&self, cancel: CancellationToken) -> Result<Vec<ModelInfo>, ProviderError>;
}

/// What a server has in memory.
#[async_trait]
pub trait ModelResidency: Send + Sync {
    /// Loaded models.
    async fn loaded(&self, cancel: CancellationToken) -> Result<Vec<LoadedModel>, ProviderError>;
    /// Loads a model.
    async fn load(&self, model: &str, cancel: CancellationToken) -> Result<LoadedModel, ProviderError>;
    /// Unloads a model; `None` when it was not loaded.
    async fn unload(
        &self,
        model: &str,
        cancel: CancellationToken,
    ) -> Result<Option<LoadedModel>, ProviderError>;
}

/// How the service of split mode is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceVerb {
    /// Reads.
    Get,
    /// Does.
    Post,
    /// Sets.
    Put,
    /// Removes.
    Delete,
}

/// A question to a [`ModelService`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceCall<'a> {
    /// How.
    pub verb: ServiceVerb,
    /// From the service's root.
    pub path: &'a str,
    /// Query members, in order.
    pub query: &'a [(&'a str, String)],
    /// JSON body.
    pub body: Option<&'a serde_json::Value>,
    /// Limit of the exchange.
    pub timeout: std::time::Duration,
    /// A key of the caller's own for the provider that is asked about.
    pub provider_key: Option<&'a SecretString>,
}

impl<'a> ServiceCall<'a> {
    /// A question without query, body and key.
    #[must_use]
    pub fn new(verb: ServiceVerb, path: &'a str, timeout: std::time::Duration) -> Self {
        Self {
            verb,
            path,
            query: &[],
            body: None,
            timeout,
            provider_key: None,
        }
    }
}

/// The model service of split mode beside conversation: what it has loaded, its caches, its configuration, what it
/// offers.
#[async_trait]
pub trait ModelService: Send + Sync {
    /// Asks and reads a JSON answer.
    async fn ask(&self, call: ServiceCall<'_>) -> Result<serde_json::Value, ProviderError>;
}
