//! From a provider name to something callable.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::ProviderError;
use crate::family::ProviderFamily;
use crate::ports::{
    ChatModel, Embedder, ImageModel, ModelCatalogue, ModelResidency, MusicModel, SpeechModel, Transcriber,
    Upscaler, VideoModel,
};

/// Who chose an endpoint's address. Decides which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointOrigin {
    /// Environment, configuration file, an administrator or the only user of the installation.
    Operator,
    /// An ordinary user of a shared gateway.
    User,
}

/// A model server with its credentials.
#[derive(Clone, Debug)]
pub struct ProviderEndpoint {
    /// Name as asked for: a family, or `endpoint:<id>`.
    pub provider: String,
    /// Family.
    pub family: &'static ProviderFamily,
    /// Without trailing slash.
    pub base_url: String,
    /// `None` and the word `EMPTY` send no authorization.
    pub api_key: Option<SecretString>,
    /// Who chose `base_url`.
    pub origin: EndpointOrigin,
    /// Further headers of the family (OpenRouter, Portkey). Values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// Models a stored connection is limited to; empty = all.
    pub allowed_models: Vec<String>,
    /// Limit of a call that sets none.
    pub timeout: Duration,
}

/// Default limit of a model call.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(7200);

/// What is asked of a directory.
#[derive(Clone, Debug)]
pub struct ProviderQuery<'a> {
    /// Data plane: whose stored connections are looked at.
    pub plane: &'a str,
    /// Family name or `endpoint:<id>`.
    pub provider: &'a str,
    /// Overrides the configured address.
    pub base_url: Option<&'a str>,
    /// Overrides the configured key.
    pub api_key: Option<SecretString>,
    /// Who chose `base_url`, when it is given.
    pub origin: EndpointOrigin,
}

impl<'a> ProviderQuery<'a> {
    /// A query without overrides.
    #[must_use]
    pub fn new(plane: &'a str, provider: &'a str) -> Self {
        Self {
            plane,
            provider,
            base_url: None,
            api_key: None,
            origin: EndpointOrigin::User,
        }
    }
}

/// The ports of one endpoint; absent ones are not offered.
#[derive(Clone)]
pub struct ProviderClient {
    /// Where it leads.
    pub endpoint: Arc<ProviderEndpoint>,
    /// Conversation, with retries, circuit breaker and prompted tools where the model needs them.
    pub chat: Arc<dyn ChatModel>,
    /// Vectors.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Pictures.
    pub images: Option<Arc<dyn ImageModel>>,
    /// Larger or cleaner pictures.
    pub upscaler: Option<Arc<dyn Upscaler>>,
    /// Videos.
    pub videos: Option<Arc<dyn VideoModel>>,
    /// Music and other sounds.
    pub music: Option<Arc<dyn MusicModel>>,
    /// Text to speech.
    pub speech: Option<Arc<dyn SpeechModel>>,
    /// Speech to text.
    pub transcriber: Option<Arc<dyn Transcriber>>,
    /// Model list.
    pub catalogue: Option<Arc<dyn ModelCatalogue>>,
    /// Loading and unloading.
    pub residency: Option<Arc<dyn ModelResidency>>,
}

impl ProviderClient {
    /// An endpoint that converses and offers nothing else so far.
    pub fn new(endpoint: Arc<ProviderEndpoint>, chat: Arc<dyn ChatModel>) -> Self {
        Self {
            endpoint,
            chat,
            embedder: None,
            images: None,
            upscaler: None,
            videos: None,
            music: None,
            speech: None,
            transcriber: None,
            catalogue: None,
            residency: None,
        }
    }
}

impl std::fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Resolves names at call time, so that a changed default or connection takes effect at once.
#[async_trait]
pub trait ProviderDirectory: Send + Sync {
    /// Finds an endpoint.
    ///
    /// # Errors
    /// Unknown provider, missing key, refused address, or a provider that cannot be used from here.
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError>;
}

/// Stored connections (`endpoint:<id>`).
#[async_trait]
pub trait EndpointProfiles: Send + Sync {
    /// The enabled connection of that id which the plane can see.
    async fn endpoint(&self, plane: &str, id: &str) -> Result<Option<ProviderEndpoint>, ProviderError>;
}
