//! Model servers as the HTTP interface needs them: resolving a name for a caller, listing models within a limit.

use std::{sync::Arc, time::Duration};

use ag_effects::routes::{ModelResolver, plane_name};
use ag_providers::{
    CapabilityTable, EndpointOrigin, ModelService, ProviderClient, ProviderDirectory, ProviderError,
    ProviderQuery,
};
use http::HeaderMap;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::secrets::SecretBox;
use crate::{ApiError, ApiResult, CallContext};

/// Models of this node, as an extension of its state.
#[derive(Clone)]
pub struct ModelServices {
    /// Defaults, providers and the model table.
    pub resolver: ModelResolver,
    /// Encrypts stored keys; without one no key is stored.
    pub secrets: Option<Arc<dyn SecretBox>>,
    /// The service that calls the models, in split mode.
    pub split: Option<Arc<dyn ModelService>>,
}

impl ModelServices {
    /// Of the node that answers.
    ///
    /// # Errors
    /// 503 where the node was built without.
    pub(crate) fn of(ctx: &CallContext) -> ApiResult<Arc<Self>> {
        let services = ctx.state().extension::<Self>();
        services.ok_or_else(|| {
            ApiError::new(
                http::StatusCode::SERVICE_UNAVAILABLE,
                "No model provider host is configured on this gateway",
            )
        })
    }

    /// The providers.
    pub(crate) fn directory(&self) -> &dyn ProviderDirectory {
        &**self.resolver.directory()
    }

    /// What is known about models.
    pub(crate) fn table(&self) -> &Arc<CapabilityTable> {
        self.resolver.routes().table()
    }
}

/// What a request may say about the server to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<SecretString>,
}

impl Overrides {
    /// The key of the optional headers, and an address of the query.
    pub(crate) fn of(headers: &HeaderMap, base_url: Option<String>) -> Self {
        const HEADERS: [&str; 2] = ["x-abstractcore-provider-api-key", "x-provider-api-key"];
        let key = HEADERS
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok().map(str::trim));
        Self {
            base_url: base_url.filter(|url| !url.trim().is_empty()),
            api_key: key.filter(|key| !key.is_empty()).map(SecretString::from),
        }
    }
}

/// Who answers for an address that the caller names: on a shared gateway, ordinary users may not point into private
/// networks (architecture D15a).
pub(crate) fn origin_of(ctx: &CallContext) -> EndpointOrigin {
    match ctx.state().users_mode() && !ctx.principal().is_admin() {
        true => EndpointOrigin::User,
        false => EndpointOrigin::Operator,
    }
}

/// The client of a provider for the caller.
pub(crate) async fn client(
    ctx: &CallContext,
    services: &ModelServices,
    provider: &str,
    overrides: &Overrides,
) -> Result<ProviderClient, ProviderError> {
    let plane = plane_name(ctx.scope());
    let query = ProviderQuery {
        base_url: overrides.base_url.as_deref(),
        api_key: overrides.api_key.clone(),
        origin: origin_of(ctx),
        ..ProviderQuery::new(&plane, provider)
    };
    services.directory().resolve(query).await
}

/// Names a client offers, sorted; those a connection is limited to, where it is.
///
/// # Errors
/// A text for the answer.
pub(crate) async fn model_names(client: &ProviderClient, limit: Duration) -> Result<Vec<String>, String> {
    let Some(catalogue) = &client.catalogue else {
        return Err("the provider has no model list".to_owned());
    };
    let cancel = CancellationToken::new();
    // Dropped at the limit, which ends the exchange.
    match tokio::time::timeout(limit, catalogue.list_models(cancel)).await {
        Ok(Ok(models)) => {
            let mut names: Vec<String> = models.into_iter().map(|model| model.id).collect();
            names.sort_unstable();
            names.dedup();
            Ok(names)
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
    }
}

/// Limits of listings, by the environment names of the contract.
pub(crate) struct ListingLimits {
    /// Asking one provider for its models.
    pub(crate) models: Duration,
    /// Asking several at once.
    pub(crate) discovery: Duration,
}

impl ListingLimits {
    /// As configured.
    pub(crate) fn of(ctx: &CallContext) -> Self {
        const MODELS: [&str; 4] = [
            "ABSTRACTGATEWAY_PROVIDER_MODELS_TIMEOUT_S",
            "ABSTRACTCORE_PROVIDER_MODELS_TIMEOUT_S",
            "ABSTRACTGATEWAY_DISCOVERY_MODEL_TIMEOUT_S",
            "ABSTRACTCORE_DISCOVERY_MODEL_TIMEOUT_S",
        ];
        const DISCOVERY: [&str; 2] = [
            "ABSTRACTGATEWAY_DISCOVERY_TIMEOUT_S",
            "ABSTRACTCORE_DISCOVERY_TIMEOUT_S",
        ];
        let providers = &ctx.state().config().providers;
        let seconds = |names: &[&str], default: f64, min: f64, max: f64| {
            let given = providers
                .first(names)
                .and_then(|text| text.trim().parse::<f64>().ok());
            Duration::from_secs_f64(
                given
                    .filter(|given| given.is_finite())
                    .unwrap_or(default)
                    .clamp(min, max),
            )
        };
        Self {
            models: seconds(&MODELS, 30.0, 1.0, 60.0),
            discovery: seconds(&DISCOVERY, 1.5, 0.2, 10.0),
        }
    }
}
