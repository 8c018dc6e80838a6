//! The ports. Each call ends within moments of its token's cancellation with [`ProviderError::Cancelled`].

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::chat::{ChatDelta, ChatReply, ChatRequest};
use crate::error::ProviderError;
use crate::media::{
    EmbedReply, EmbedRequest, ImageReply, ImageRequest, LoadedModel, ModelInfo, SpeechReply, SpeechRequest,
    TranscribeRequest, Transcript,
};

/// Receives the pieces of a streamed answer.
pub type DeltaSink<'a> = &'a (dyn Fn(ChatDelta) + Send + Sync);

/// Conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Asks for one answer.
    async fn chat(&self, req: ChatRequest, cancel: CancellationToken) -> Result<ChatReply, ProviderError>;

    /// Asks for one answer and reports its pieces as they come; the reply is whole nevertheless.
    async fn chat_streaming(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: DeltaSink<'_>,
    ) -> Result<ChatReply, ProviderError> {
        let reply = self.chat(req, cancel).await?;
        if let Some(content) = &reply.content {
            sink(ChatDelta::Content(content.clone()));
        }
        Ok(reply)
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
    /// Makes or changes one picture.
    async fn image(&self, req: ImageRequest, cancel: CancellationToken) -> Result<ImageReply, ProviderError>;
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
