//! Endpoints by name: the families as the environment configures them, and stored connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ag_providers::directory::DEFAULT_TIMEOUT;
use ag_providers::family::{ACEMUSIC, Wire};
use ag_providers::{
    EndpointOrigin, EndpointProfiles, FAMILIES, ProviderClient, ProviderDirectory, ProviderEndpoint,
    ProviderError, ProviderFamily, ProviderQuery, family, unknown_provider,
};
use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::factory::{HttpProviders, SplitServer};

/// The environment's part of one family.
#[derive(Clone, Debug)]
struct FamilySettings {
    base_url: String,
    api_key: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    /// Its own limit of a call.
    timeout: Option<Duration>,
}

/// What the environment says about the families. Read once at start.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    families: HashMap<&'static str, FamilySettings>,
    split: Option<SplitServer>,
    timeout: Duration,
}

impl ProviderSettings {
    /// Reads the families' variables through `lookup`, usually the process environment. Empty values count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| {
            let value = if name.is_empty() { None } else { lookup(name) };
            value
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let families = FAMILIES
            .iter()
            .chain(std::iter::once(&ACEMUSIC))
            .map(|family| {
                let base_url = family.base_url_env.iter().find_map(|name| get(name));
                let settings = FamilySettings {
                    base_url: base_url.unwrap_or_else(|| family.default_base_url.to_owned()),
                    api_key: get(family.key_env).map(SecretString::from),
                    headers: family_headers(family.name, &get),
                    timeout: seconds(get(&timeout_env(family.name))),
                };
                (family.name, settings)
            })
            .collect();
        Self {
            families,
            split: split_server(&get),
            timeout: seconds(get("ABSTRACTGATEWAY_PROVIDER_TIMEOUT_S")).unwrap_or(DEFAULT_TIMEOUT),
        }
    }

    /// The limit of a family's calls that set none.
    fn timeout(&self, family: &ProviderFamily) -> Duration {
        let own = self
            .families
            .get(family.name)
            .and_then(|settings| settings.timeout);
        own.unwrap_or(self.timeout)
    }

    /// Replaces the limit of calls that set none.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The service that calls the models in split mode.
    #[must_use]
    pub fn split(&self) -> Option<&SplitServer> {
        self.split.as_ref()
    }

    /// The configured address of a family.
    #[must_use]
    pub fn base_url(&self, family: &str) -> Option<&str> {
        self.families
            .get(family)
            .map(|settings| settings.base_url.as_str())
    }

    /// The configured key of a family.
    #[must_use]
    pub fn api_key(&self, family: &str) -> Option<&SecretString> {
        self.families.get(family)?.api_key.as_ref()
    }

    /// The endpoint of a family with a query's overrides.
    ///
    /// A key of the operator goes only where the operator points: an address that a user chose gets the user's key or
    /// none, otherwise anybody could have the operator's keys sent to a server of theirs.
    fn endpoint(&self, family: &'static ProviderFamily, query: &ProviderQuery<'_>) -> ProviderEndpoint {
        if self.split.is_some() {
            return self.behind_split(family, query);
        }
        let configured = self.families.get(family.name);
        let configured_url =
            configured.map_or(family.default_base_url, |settings| settings.base_url.as_str());
        let overridden = query.base_url.map(str::trim).filter(|url| !url.is_empty());
        let base_url = normalise_base(family, overridden.unwrap_or(configured_url));
        let same_place =
            overridden.is_none() || same_origin(&base_url, &normalise_base(family, configured_url));
        let origin = if same_place {
            EndpointOrigin::Operator
        } else {
            query.origin
        };
        let own_secrets = configured.filter(|_| origin == EndpointOrigin::Operator);
        let api_key = query
            .api_key
            .clone()
            .or_else(|| own_secrets.and_then(|settings| settings.api_key.clone()));
        let mut headers = own_secrets
            .map(|settings| settings.headers.clone())
            .unwrap_or_default();
        if let (true, Some(key)) = (family.name == "portkey", &api_key) {
            headers.push(("x-portkey-api-key".to_owned(), key.clone()));
        }
        ProviderEndpoint {
            provider: family.name.to_owned(),
            family,
            base_url,
            api_key,
            origin,
            headers,
            allowed_models: Vec::new(),
            timeout: self.timeout(family),
        }
    }

    /// In split mode the server has addresses and keys of its own; only what the caller names is passed on.
    fn behind_split(&self, family: &'static ProviderFamily, query: &ProviderQuery<'_>) -> ProviderEndpoint {
        let given = query.base_url.map(str::trim).filter(|url| !url.is_empty());
        ProviderEndpoint {
            provider: family.name.to_owned(),
            family,
            base_url: given.map(|url| normalise_base(family, url)).unwrap_or_default(),
            api_key: query.api_key.clone(),
            origin: query.origin,
            headers: Vec::new(),
            allowed_models: Vec::new(),
            timeout: self.timeout(family),
        }
    }
}

/// `ABSTRACTGATEWAY_PROVIDER_OPENAI_COMPATIBLE_TIMEOUT_S` and its kind: seconds, fractions allowed.
fn timeout_env(family: &str) -> String {
    let name = family.to_ascii_uppercase().replace('-', "_");
    format!("ABSTRACTGATEWAY_PROVIDER_{name}_TIMEOUT_S")
}

fn seconds(text: Option<String>) -> Option<Duration> {
    let seconds = text?.parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// First set one wins.
const SPLIT_TOKENS: [&str; 4] = [
    "ABSTRACTGATEWAY_ABSTRACTCORE_SERVER_AUTH_TOKEN",
    "ABSTRACTGATEWAY_ABSTRACTCORE_SERVER_API_KEY",
    "ABSTRACTCORE_AUTH_TOKEN",
    "ABSTRACTCORE_SERVER_API_KEY",
];

fn split_server(get: &impl Fn(&str) -> Option<String>) -> Option<SplitServer> {
    let url = get("ABSTRACTCORE_SERVER_BASE_URL")?;
    let url = url.trim_end_matches('/');
    Some(SplitServer {
        base_url: url
            .strip_suffix("/v1")
            .unwrap_or(url)
            .trim_end_matches('/')
            .to_owned(),
        token: SPLIT_TOKENS
            .iter()
            .find_map(|name| get(name))
            .map(SecretString::from),
    })
}

fn family_headers(name: &str, get: &impl Fn(&str) -> Option<String>) -> Vec<(String, SecretString)> {
    let header =
        |header: &str, env: &str| get(env).map(|value| (header.to_owned(), SecretString::from(value)));
    match name {
        "openrouter" => {
            let headers = [
                header("http-referer", "OPENROUTER_SITE_URL"),
                header("x-title", "OPENROUTER_APP_NAME"),
            ];
            headers.into_iter().flatten().collect()
        }
        "portkey" => {
            let route = header("x-portkey-config", "PORTKEY_CONFIG")
                .or_else(|| header("x-portkey-virtual-key", "PORTKEY_VIRTUAL_KEY"))
                .or_else(|| header("x-portkey-provider", "PORTKEY_PROVIDER"));
            let bearer = get("PORTKEY_PROVIDER_API_KEY").map(|key| {
                (
                    "authorization".to_owned(),
                    SecretString::from(format!("Bearer {key}")),
                )
            });
            route.into_iter().chain(bearer).collect()
        }
        _ => Vec::new(),
    }
}

/// Without trailing slash; Ollama's host variable may lack a scheme or name the listening address, and people give the
/// address of its OpenAI wire (`/v1`) or Anthropic's with the version for the plain one.
fn normalise_base(family: &ProviderFamily, url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    match family.wire {
        Wire::Ollama => {}
        Wire::Anthropic => return url.strip_suffix("/v1").unwrap_or(url).to_owned(),
        _ => return url.to_owned(),
    }
    let mut url = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    url = url.replacen("://0.0.0.0", "://localhost", 1);
    if let Some(root) = url.strip_suffix("/v1") {
        url.truncate(root.len());
    }
    url
}

fn same_origin(a: &str, b: &str) -> bool {
    matches!((Url::parse(a), Url::parse(b)), (Ok(a), Ok(b)) if a.origin() == b.origin())
}

/// Resolves families and, where given, stored connections.
pub struct EnvironmentDirectory {
    settings: ProviderSettings,
    providers: Arc<HttpProviders>,
    profiles: Option<Arc<dyn EndpointProfiles>>,
}

impl std::fmt::Debug for EnvironmentDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvironmentDirectory")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl EnvironmentDirectory {
    /// Without stored connections.
    #[must_use]
    pub fn new(settings: ProviderSettings, providers: Arc<HttpProviders>) -> Self {
        Self {
            settings,
            providers,
            profiles: None,
        }
    }

    /// Looks `endpoint:<id>` up here.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Arc<dyn EndpointProfiles>) -> Self {
        self.profiles = Some(profiles);
        self
    }

    async fn profile(&self, query: &ProviderQuery<'_>, id: &str) -> Result<ProviderEndpoint, ProviderError> {
        let found = match &self.profiles {
            Some(profiles) => profiles.endpoint(query.plane, id).await?,
            None => None,
        };
        let mut endpoint = found.ok_or_else(|| unknown_provider(query.provider))?;
        let elsewhere = self.settings.split.is_some();
        if endpoint.base_url.trim().is_empty() && !elsewhere {
            // A connection without an address stores a key for the family's own.
            let base = self
                .settings
                .base_url(endpoint.family.name)
                .unwrap_or(endpoint.family.default_base_url);
            base.clone_into(&mut endpoint.base_url);
        }
        if !endpoint.base_url.trim().is_empty() {
            endpoint.base_url = normalise_base(endpoint.family, &endpoint.base_url);
        }
        if let Some(key) = &query.api_key {
            endpoint.api_key = Some(key.clone());
        }
        endpoint.timeout = self.settings.timeout(endpoint.family);
        Ok(endpoint)
    }
}

#[async_trait]
impl ProviderDirectory for EnvironmentDirectory {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        let name = query.provider.trim();
        let endpoint = match name.strip_prefix("endpoint:") {
            Some(id) => self.profile(&query, id).await?,
            None => {
                let family = family(name).ok_or_else(|| unknown_provider(name))?;
                self.settings.endpoint(family, &query)
            }
        };
        self.providers.client(endpoint)
    }
}

#[cfg(test)]
mod tests;
