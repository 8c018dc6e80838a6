//! From an endpoint to its ports.

use std::collections::HashMap;
use std::sync::Arc;

use ag_outbound::{
    Allowlist, ClientOptions, OutboundClient, OutboundError, OutboundPolicy, check_url, outbound_client,
};
use ag_providers::circuit::{CircuitBreaker, CircuitSettings};
use ag_providers::family::{ABSTRACTCORE, Wire};
use ag_providers::prompted_tools::ToolAdaptingModel;
use ag_providers::retry::{Pause, RetryPolicy, TokioPause};
use ag_providers::{
    CapabilityTable, EndpointOrigin, ProviderClient, ProviderEndpoint, ProviderError, RetryingModel,
};
use secrecy::SecretString;
use url::Url;

use crate::errors::refused;
use crate::transport::{Transport, public_url};

/// What an operator may change.
#[derive(Clone, Debug)]
pub struct HttpSettings {
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

impl Default for HttpSettings {
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

/// What a wire gets besides its transport.
#[derive(Clone)]
pub struct Kit {
    /// What is known about models.
    pub table: Arc<CapabilityTable>,
    /// Retries of calls other than chat, which is wrapped from outside.
    pub retry: RetryPolicy,
    /// Pauses between tries.
    pub pause: Arc<dyn Pause>,
    /// For addresses that a server, not the operator, chose.
    pub foreign: OutboundClient,
}

/// A protocol. Its chat port is bare: retries, circuit breaker and prompted tools are put around it.
pub trait WireAdapter: Send + Sync {
    /// The protocol.
    fn wire(&self) -> Wire;

    /// The ports of an endpoint.
    fn ports(&self, endpoint: Arc<ProviderEndpoint>, transport: Transport, kit: &Kit) -> ProviderClient;
}

/// The service that calls the models for us.
#[derive(Clone, Debug)]
pub struct SplitServer {
    /// Without trailing slash and without `/v1`.
    pub base_url: String,
    /// Its own token.
    pub token: Option<SecretString>,
}

/// The header in which a provider's key travels through a [`SplitServer`].
pub(crate) const PROVIDER_KEY: &str = "x-abstractcore-provider-api-key";

impl SplitServer {
    /// The server as an endpoint, on behalf of another one.
    fn endpoint(&self, behind: &ProviderEndpoint) -> ProviderEndpoint {
        let key = behind.api_key.iter();
        ProviderEndpoint {
            provider: ABSTRACTCORE.name.to_owned(),
            family: &ABSTRACTCORE,
            base_url: format!("{}/v1", self.base_url),
            api_key: self.token.clone(),
            headers: key.map(|key| (PROVIDER_KEY.to_owned(), key.clone())).collect(),
            origin: EndpointOrigin::Operator,
            allowed_models: Vec::new(),
            ..behind.clone()
        }
    }
}

/// Builds ports that share connections and circuits. Building is cheap; keep one of these per process.
pub struct HttpProviders {
    settings: HttpSettings,
    kit: Kit,
    operator: OutboundClient,
    breaker: Arc<CircuitBreaker>,
    wires: HashMap<Wire, Arc<dyn WireAdapter>>,
    split: Option<SplitServer>,
}

impl std::fmt::Debug for HttpProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProviders")
            .field("settings", &self.settings)
            .field("wires", &self.wires.keys())
            .finish_non_exhaustive()
    }
}

impl HttpProviders {
    /// Sets the connections up.
    ///
    /// # Errors
    /// [`OutboundError`] when TLS cannot be set up.
    pub fn new(settings: HttpSettings, table: Arc<CapabilityTable>) -> Result<Self, OutboundError> {
        let operator = outbound_client(OutboundPolicy::operator(), &settings.client)?;
        let foreign = outbound_client(OutboundPolicy::user(settings.allowlist.clone()), &settings.client)?;
        Ok(Self {
            kit: Kit {
                table,
                retry: settings.retry,
                pause: Arc::new(TokioPause),
                foreign,
            },
            breaker: Arc::new(CircuitBreaker::new(settings.circuit)),
            operator,
            settings,
            wires: HashMap::new(),
            split: None,
        })
    }

    /// Adds a protocol.
    #[must_use]
    pub fn with_wire(mut self, wire: Arc<dyn WireAdapter>) -> Self {
        self.wires.insert(wire.wire(), wire);
        self
    }

    /// Leaves all calls to another service, where one is given.
    #[must_use]
    pub fn with_split(mut self, server: Option<SplitServer>) -> Self {
        self.split = server;
        self
    }

    /// Replaces the pauses between attempts.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.kit.pause = pause;
        self
    }

    /// The ports of an endpoint.
    ///
    /// # Errors
    /// A refused address, a missing key, or a family whose protocol this process does not speak.
    pub fn client(&self, endpoint: ProviderEndpoint) -> Result<ProviderClient, ProviderError> {
        if let Some(server) = &self.split {
            return self.split_client(server, endpoint);
        }
        let family = endpoint.family;
        if family.wire == Wire::InProcess {
            return Err(ProviderError::Unsupported(format!(
                "Provider '{}' runs models inside the process, which this gateway does not do. Serve the model with an \
                 OpenAI-compatible server and use openai-compatible, lmstudio, ollama or vllm.",
                family.name
            )));
        }
        if family.key_required && endpoint.api_key.is_none() {
            return Err(ProviderError::MissingKey {
                family: family.label.to_owned(),
                env: family.key_env.to_owned(),
            });
        }
        let http = self.http(endpoint.origin);
        let endpoint = Arc::new(endpoint);
        let transport = self.transport(Arc::clone(&endpoint), http)?;
        let bare = self.ports(family.wire, endpoint, transport)?;
        let chat = Arc::new(ToolAdaptingModel::new(
            Arc::clone(&bare.chat),
            Arc::clone(&self.kit.table),
        ));
        Ok(ProviderClient { chat, ..bare })
    }

    /// The server decides itself which families it has and how its models get tools.
    fn split_client(
        &self,
        server: &SplitServer,
        endpoint: ProviderEndpoint,
    ) -> Result<ProviderClient, ProviderError> {
        if !endpoint.base_url.is_empty() {
            // It would connect for us, so the caller's rules hold for the address as well.
            let url = Url::parse(&endpoint.base_url).map_err(|error| ProviderError::AddressRefused {
                reason: error.to_string(),
            })?;
            check_url(self.http(endpoint.origin).policy(), &url).map_err(|error| refused(&error))?;
        }
        let transport = self.transport(Arc::new(server.endpoint(&endpoint)), &self.operator)?;
        self.ports(Wire::AbstractCore, Arc::new(endpoint), transport)
    }

    /// Connections to an endpoint of the operator's.
    ///
    /// # Errors
    /// An address that is none.
    pub(crate) fn transport_of(&self, endpoint: Arc<ProviderEndpoint>) -> Result<Transport, ProviderError> {
        self.transport(endpoint, &self.operator)
    }

    fn http(&self, origin: EndpointOrigin) -> &OutboundClient {
        match origin {
            EndpointOrigin::Operator => &self.operator,
            EndpointOrigin::User => &self.kit.foreign,
        }
    }

    fn transport(
        &self,
        endpoint: Arc<ProviderEndpoint>,
        http: &OutboundClient,
    ) -> Result<Transport, ProviderError> {
        Transport::new(endpoint, http.clone(), self.settings.max_response_bytes)
    }

    /// The wire's ports, with retries and circuit breaker around its chat.
    fn ports(
        &self,
        wire: Wire,
        endpoint: Arc<ProviderEndpoint>,
        transport: Transport,
    ) -> Result<ProviderClient, ProviderError> {
        let adapter = self.wires.get(&wire).ok_or_else(|| {
            ProviderError::Unsupported(format!("Provider '{}' is not available here", endpoint.provider))
        })?;
        let server = format!("{} {}", endpoint.provider, public_url(&transport.url("")));
        let bare = adapter.ports(endpoint, transport, &self.kit);
        let chat = RetryingModel::new(Arc::clone(&bare.chat), self.settings.retry, server)
            .with_breaker(Arc::clone(&self.breaker))
            .with_pause(Arc::clone(&self.kit.pause));
        Ok(ProviderClient {
            chat: Arc::new(chat),
            ..bare
        })
    }
}
