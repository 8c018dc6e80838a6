//! From "this model, or whatever is configured" to a client.

use std::sync::Arc;

use ag_providers::{
    EndpointOrigin, ModelCapabilities, ProviderClient, ProviderDirectory, ProviderError, ProviderQuery,
};
use ag_store::StoreError;
use ag_types::{PlaneId, PlaneKey, TenantScope};
use secrecy::SecretString;

use super::{CapabilityRoutes, FoundRoute, RouteLevels};
use crate::handler::Failure;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct ModelQuery<'a> {
    /// Whose connections and defaults count.
    pub scope: &'a TenantScope,
    /// Family or `endpoint:<id>`; goes together with `model`.
    pub provider: Option<&'a str>,
    /// Model name; goes together with `provider`.
    pub model: Option<&'a str>,
    /// The caller's own address for the provider.
    pub base_url: Option<&'a str>,
    /// The caller's own key.
    pub api_key: Option<SecretString>,
    /// For error texts: `chat`, `summary`, `llm_call`, ...
    pub purpose: &'a str,
}

impl<'a> ModelQuery<'a> {
    /// The default text model.
    pub fn default_for(scope: &'a TenantScope, purpose: &'a str) -> Self {
        Self {
            scope,
            provider: None,
            model: None,
            base_url: None,
            api_key: None,
            purpose,
        }
    }
}

/// Something callable.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// As asked for or configured.
    pub provider: String,
    /// Model name as the server knows it.
    pub model: String,
    /// Its ports.
    pub client: ProviderClient,
    /// What the table knows about the model.
    pub capabilities: Arc<ModelCapabilities>,
}

/// Why nothing could be called.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Neither asked for nor configured, or only half of it.
    #[error(
        "No provider/model is configured for {purpose}. Set the default text route (config/capability-defaults/output/text) or give both provider and model."
    )]
    NotConfigured {
        /// What it was for.
        purpose: String,
    },
    /// Unknown provider, missing key, refused address.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The defaults could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ResolveError> for Failure {
    /// Defaults and connections that cannot be read now can be read later.
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Store(error) => Self::Store(error),
            ResolveError::Provider(error @ ProviderError::ConnectionsUnreadable) => {
                Self::Store(StoreError::Unavailable(error.to_string()))
            }
            error => Self::Text(error.to_string()),
        }
    }
}

/// Resolves models at the time of the call.
#[derive(Clone)]
pub struct ModelResolver {
    routes: Arc<CapabilityRoutes>,
    directory: Arc<dyn ProviderDirectory>,
}

impl ModelResolver {
    /// Over the defaults and the known providers.
    pub fn new(routes: Arc<CapabilityRoutes>, directory: Arc<dyn ProviderDirectory>) -> Self {
        Self { routes, directory }
    }

    /// The defaults.
    pub fn routes(&self) -> &Arc<CapabilityRoutes> {
        &self.routes
    }

    /// The providers.
    pub fn directory(&self) -> &Arc<dyn ProviderDirectory> {
        &self.directory
    }

    /// Who answers for an address that a request of this plane names.
    fn request_origin(&self) -> EndpointOrigin {
        match self.routes.levels() {
            RouteLevels::Single => EndpointOrigin::Operator,
            RouteLevels::Users => EndpointOrigin::User,
        }
    }

    /// A text model: the pair of the query, else the plane's default. A query that names exactly the default gets the
    /// default's address too, because runs carry only provider and model of it.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, query: ModelQuery<'_>) -> Result<ResolvedModel, ResolveError> {
        let text = |value: Option<&str>| {
            value
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let default = self.routes.text(query.scope).await?;
        let missing = || ResolveError::NotConfigured {
            purpose: query.purpose.to_owned(),
        };
        let (provider, model, route) = match (text(query.provider), text(query.model), default) {
            (Some(provider), Some(model), default) => {
                let same = |found: &FoundRoute| is_route(found, &provider, &model);
                match default.filter(same) {
                    // In the spelling of the default: run variables hold the name in lower case.
                    Some(found) => (
                        found.route.provider.clone().unwrap_or(provider),
                        model,
                        Some(found),
                    ),
                    None => (provider, model, None),
                }
            }
            (None, None, Some(found)) => {
                let (provider, model) = found.route.pair().ok_or_else(missing)?;
                (provider.to_owned(), model.to_owned(), Some(found))
            }
            _ => return Err(missing()),
        };
        let given = text(query.base_url);
        let configured = route.and_then(|found| Some((found.route.base_url?, found.origin)));
        let address = given.map(|url| (url, self.request_origin())).or(configured);
        let client = self
            .client(query.scope, &provider, address.as_ref(), query.api_key)
            .await?;
        let capabilities = self.routes.table().lookup(&model);
        Ok(ResolvedModel {
            provider,
            model,
            client,
            capabilities,
        })
    }

    /// The client of a default for something else than text (`output.voice`), with its model.
    ///
    /// # Errors
    /// [`ResolveError::Provider`].
    pub async fn of_route(
        &self,
        scope: &TenantScope,
        found: &FoundRoute,
    ) -> Result<ProviderClient, ResolveError> {
        let provider = found.route.provider.as_deref().unwrap_or_default();
        let address = found.route.base_url.clone().map(|url| (url, found.origin));
        Ok(self.client(scope, provider, address.as_ref(), None).await?)
    }

    /// The client of a provider for media. The address of the default goes with the default's provider.
    ///
    /// # Errors
    /// [`ResolveError::Provider`].
    pub async fn for_media(
        &self,
        scope: &TenantScope,
        provider: &str,
        default: Option<&FoundRoute>,
    ) -> Result<ProviderClient, ResolveError> {
        let address = default.and_then(|found| Some((found.route.base_url.clone()?, found.origin)));
        Ok(self.client(scope, provider, address.as_ref(), None).await?)
    }

    /// The client of a back end that the operator's environment names, with its own address and key.
    ///
    /// # Errors
    /// [`ResolveError::Provider`].
    pub async fn for_backend(
        &self,
        scope: &TenantScope,
        provider: &str,
        base_url: Option<&str>,
        api_key: Option<SecretString>,
    ) -> Result<ProviderClient, ResolveError> {
        let address = base_url.map(|url| (url.to_owned(), EndpointOrigin::Operator));
        Ok(self.client(scope, provider, address.as_ref(), api_key).await?)
    }

    async fn client(
        &self,
        scope: &TenantScope,
        provider: &str,
        address: Option<&(String, EndpointOrigin)>,
        api_key: Option<SecretString>,
    ) -> Result<ProviderClient, ProviderError> {
        let plane = plane_name(scope);
        let query = ProviderQuery {
            base_url: address.map(|(url, _)| url.as_str()),
            origin: address.map_or(EndpointOrigin::User, |(_, origin)| *origin),
            api_key,
            ..ProviderQuery::new(&plane, provider)
        };
        self.directory.resolve(query).await
    }
}

fn is_route(found: &FoundRoute, provider: &str, model: &str) -> bool {
    found
        .route
        .pair()
        .is_some_and(|(p, m)| p.eq_ignore_ascii_case(provider) && m == model)
}

/// A scope as the `plane` text of provider queries; see [`scope_of_plane_name`].
pub fn plane_name(scope: &TenantScope) -> String {
    format!(
        "{}/{}/{}",
        scope.plane.0, scope.key.tenant_id, scope.key.runtime_id
    )
}

/// The scope behind [`plane_name`], so that stored connections are found without a query for the plane. Plane names
/// have no slashes.
pub fn scope_of_plane_name(name: &str) -> Option<TenantScope> {
    let mut parts = name.splitn(3, '/');
    let plane = PlaneId(parts.next()?.parse().ok()?);
    let (tenant_id, runtime_id) = (parts.next()?.into(), parts.next()?.into());
    Some(TenantScope {
        plane,
        key: PlaneKey {
            tenant_id,
            runtime_id,
        },
    })
}
