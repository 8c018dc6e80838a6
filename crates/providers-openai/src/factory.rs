//! From an endpoint to its ports.

use std::sync::Arc;

use ag_outbound::{Allowlist, ClientOptions, OutboundClient, OutboundError, OutboundPolicy, outbound_client};
use ag_providers::circuit::{CircuitBreaker, CircuitSettings};
use ag_providers::family::Wire;
use ag_providers::prompted_tools::ToolAdaptingModel;
use ag_providers::retry::{Pause, RetryPolicy, TokioPause};
use ag_providers::{
    CapabilityTable, ChatModel, EndpointOrigin, ModelResidency, ProviderClient, ProviderEndpoint,
    ProviderError, RetryingModel,
};

use crate::chat::OpenAiChat;
use crate::embeddings::OpenAiEmbedder;
use crate::media::OpenAiMedia;
use crate::models::{Catalogue, KnownModels};
use crate::residency::Residency;
use crate::transport::{Transport, public_url};

/// What an operator may change.
#[derive(Clone, Debug)]
pub struct OpenAiSettings {
    /// Retries inside a call.
    pub retry: RetryPolicy,
    /// Circuit breaker.
    pub circuit: CircuitSettings,
    /// Largest answer accepted, in bytes.
    pub max_response_bytes: usize,
    /// What users' own endpoints may reach besides public addresses.
    pub allowlist: Allowlist,
    /// Connections.
    pub client: ClientOptions,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            circuit: CircuitSettings::default(),
            max_response_bytes: 64 * 1024 * 1024,
            allowlist: Allowlist::default(),
            client: ClientOptions::default(),
        }
    }
}

/// Builds ports that share connections, circuits and known model names. Building is cheap; keep one of these per
/// process.
pub struct OpenAiProviders {
    settings: OpenAiSettings,
    table: Arc<CapabilityTable>,
    operator: OutboundClient,
    user: OutboundClient,
    breaker: Arc<CircuitBreaker>,
    known: Arc<KnownModels>,
    pause: Arc<dyn Pause>,
}

impl std::fmt::Debug for OpenAiProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiProviders")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl OpenAiProviders {
    /// Sets the connections up.
    ///
    /// # Errors
    /// [`OutboundError`] when TLS cannot be set up.
    pub fn new(settings: OpenAiSettings, table: Arc<CapabilityTable>) -> Result<Self, OutboundError> {
        let operator = outbound_client(OutboundPolicy::operator(), &settings.client)?;
        let user = outbound_client(OutboundPolicy::user(settings.allowlist.clone()), &settings.client)?;
        let breaker = Arc::new(CircuitBreaker::new(settings.circuit));
        let (known, pause) = (Arc::default(), Arc::new(TokioPause));
        Ok(Self {
            settings,
            table,
            operator,
            user,
            breaker,
            known,
            pause,
        })
    }

    /// Replaces the pauses between attempts.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.pause = pause;
        self
    }

    /// The ports of an endpoint.
    ///
    /// # Errors
    /// A refused address, a missing key, or a family with another protocol.
    pub fn client(&self, endpoint: ProviderEndpoint) -> Result<ProviderClient, ProviderError> {
        let family = endpoint.family;
        match family.wire {
            Wire::OpenAi | Wire::Ollama => {}
            Wire::Anthropic => {
                return Err(ProviderError::Unsupported(format!(
                    "Provider '{}' is not available here: its native protocol is not implemented. Use an \
                     OpenAI-compatible endpoint for its models.",
                    family.name
                )));
            }
            Wire::InProcess => {
                return Err(ProviderError::Unsupported(format!(
                    "Provider '{}' runs models inside the process, which this gateway does not do. Serve the model \
                     with an OpenAI-compatible server and use openai-compatible, lmstudio, ollama or vllm.",
                    family.name
                )));
            }
        }
        if family.key_required && endpoint.api_key.is_none() {
            return Err(ProviderError::MissingKey {
                family: family.label.to_owned(),
                env: family.key_env.to_owned(),
            });
        }
        let http = match endpoint.origin {
            EndpointOrigin::Operator => &self.operator,
            EndpointOrigin::User => &self.user,
        };
        let endpoint = Arc::new(endpoint);
        let limit = self.settings.max_response_bytes;
        let transport = Transport::new(Arc::clone(&endpoint), http.clone(), limit)?;
        let server = format!("{} {}", endpoint.provider, public_url(&transport.url("")));
        let wire: Arc<dyn ChatModel> = Arc::new(OpenAiChat::new(
            transport.clone(),
            Arc::clone(&self.table),
            Arc::clone(&self.known),
        ));
        let retrying = RetryingModel::new(wire, self.settings.retry, server)
            .with_breaker(Arc::clone(&self.breaker))
            .with_pause(Arc::clone(&self.pause));
        let media = Arc::new(OpenAiMedia {
            transport: transport.clone(),
            foreign: self.user.clone(),
        });
        Ok(ProviderClient {
            chat: Arc::new(ToolAdaptingModel::new(
                Arc::new(retrying),
                Arc::clone(&self.table),
            )),
            embedder: Some(Arc::new(OpenAiEmbedder {
                transport: transport.clone(),
                retry: self.settings.retry,
                pause: Arc::clone(&self.pause),
            })),
            images: Some(media.clone()),
            speech: Some(media.clone()),
            transcriber: Some(media),
            catalogue: Some(Arc::new(Catalogue(transport.clone()))),
            residency: Residency::new(transport)
                .map(|residency| Arc::new(residency) as Arc<dyn ModelResidency>),
            endpoint,
        })
    }
}
