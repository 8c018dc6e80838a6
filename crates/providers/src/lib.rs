//! Model ports: what the gateway asks of language, embedding, image and speech models, free of any vendor's types.
//!
//! - [`ports`]: one small trait per kind of question; an adapter implements those it can.
//! - [`chat`], [`media`]: requests and replies.
//! - [`error`]: the failures, their client-visible texts and their classes.
//! - [`retry`], [`circuit`]: what is tried again, and when a broken server is left alone.
//! - [`family`], [`directory`]: known provider families, and how a name becomes something callable.
//! - [`capabilities`]: limits and abilities per model, from a table.
//! - [`structured`]: schema-bound answers. [`prompted_tools`]: tool calls for models without native ones.
//! - [`fake`]: scripted models for tests.

pub mod capabilities;
pub mod chat;
pub mod circuit;
pub mod directory;
pub mod error;
pub mod fake;
pub mod family;
pub mod media;
pub mod ports;
pub mod prompted_tools;
pub mod retry;
pub mod structured;
pub mod thinking;

pub use capabilities::{CapabilityTable, ModelCapabilities, Support};
pub use chat::{
    ChatDelta, ChatMessage, ChatReply, ChatRequest, ContentPart, MediaSource, MessageContent, ResponseSchema,
    Role, SamplingParams, ToolCall, ToolChoice, ToolSpec, Usage,
};
pub use directory::{
    EndpointOrigin, EndpointProfiles, ProviderClient, ProviderDirectory, ProviderEndpoint, ProviderQuery,
};
pub use error::{FailureClass, ProviderError, UpstreamFailure};
pub use family::{FAMILIES, ProviderFamily, family, unknown_provider};
pub use ports::{
    ChatModel, Embedder, ImageModel, ModelCatalogue, ModelResidency, ModelService, MusicModel, ProgressSink,
    ServiceCall, ServiceVerb, SpeechModel, Transcriber, Upscaler, VideoModel,
};
pub use retry::{RetryPolicy, RetryingModel};
pub use thinking::Thinking;

/// A JSON object, key order kept.
pub type Object = serde_json::Map<String, serde_json::Value>;
