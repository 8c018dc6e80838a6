//! The control plane of split mode's service.

use std::sync::Arc;

use ag_providers::ports::{ModelService, ServiceCall, ServiceVerb};
use ag_providers::{
    EndpointOrigin, ProviderEndpoint, ProviderError, directory::DEFAULT_TIMEOUT, family::ABSTRACTCORE,
};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::factory::{HttpProviders, PROVIDER_KEY, SplitServer};
use crate::transport::{Exchange, Transport, secret_value};

/// Asks the service over HTTP with its own token.
pub struct SplitService {
    transport: Transport,
}

impl SplitService {
    /// Over the connections of `providers`.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(server: &SplitServer, providers: &HttpProviders) -> Result<Self, ProviderError> {
        let endpoint = ProviderEndpoint {
            provider: ABSTRACTCORE.name.to_owned(),
            family: &ABSTRACTCORE,
            base_url: server.base_url.clone(),
            api_key: server.token.clone(),
            origin: EndpointOrigin::Operator,
            headers: Vec::new(),
            allowed_models: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        };
        Ok(Self {
            transport: providers.transport_of(Arc::new(endpoint))?,
        })
    }
}

#[async_trait]
impl ModelService for SplitService {
    async fn ask(&self, call: ServiceCall<'_>) -> Result<Value, ProviderError> {
        let mut url = self.transport.url(call.path);
        if !call.query.is_empty() {
            let pairs = call.query.iter().map(|(name, value)| (*name, value.as_str()));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let method = match call.verb {
            ServiceVerb::Get => Method::GET,
            ServiceVerb::Post => Method::POST,
            ServiceVerb::Put => Method::PUT,
            ServiceVerb::Delete => Method::DELETE,
        };
        let mut headers = HeaderMap::new();
        if let Some(key) = call.provider_key {
            headers.insert(PROVIDER_KEY, secret_value(key.expose_secret())?);
        }
        // Dropped with the request that asks, which ends the exchange.
        let cancel = CancellationToken::new();
        let exchange = Exchange {
            method,
            path: call.path,
            timeout: call.timeout,
            cancel: &cancel,
        };
        let answer = self.transport.json_at(url, exchange, call.body, headers).await;
        answer.map(|(value, _)| value)
    }
}
