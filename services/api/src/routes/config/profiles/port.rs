//! Stored connections for whoever calls models.

use std::sync::Arc;

use ag_effects::routes::scope_of_plane_name;
use ag_providers::{
    EndpointOrigin, EndpointProfiles, ProviderEndpoint, ProviderError, directory::DEFAULT_TIMEOUT, family,
    unknown_provider,
};
use ag_store::Documents;
use async_trait::async_trait;

use super::{Profile, ProfileScope, find};
use crate::routes::secrets::SecretBox;

/// The stored connections of all planes.
#[derive(Clone)]
pub struct StoredProfiles {
    documents: Arc<dyn Documents>,
    secrets: Option<Arc<dyn SecretBox>>,
    single_token: bool,
}

impl StoredProfiles {
    /// Over a store. `single_token`: every caller is the operator.
    pub fn new(
        documents: Arc<dyn Documents>,
        secrets: Option<Arc<dyn SecretBox>>,
        single_token: bool,
    ) -> Self {
        Self {
            documents,
            secrets,
            single_token,
        }
    }
}

#[async_trait]
impl EndpointProfiles for StoredProfiles {
    async fn endpoint(&self, plane: &str, id: &str) -> Result<Option<ProviderEndpoint>, ProviderError> {
        let Some(scope) = scope_of_plane_name(plane) else {
            return Ok(None);
        };
        let found = find(&*self.documents, &scope, id).await;
        let found = found.map_err(|error| {
            tracing::warn!(error = %error, "stored connections are not readable");
            ProviderError::Unsupported("Stored connections are not readable right now".to_owned())
        })?;
        let Some(found) = found.filter(|found| found.profile.enabled) else {
            return Ok(None);
        };
        let profile = found.profile;
        let family =
            family(&profile.provider_family).ok_or_else(|| unknown_provider(&profile.provider_family))?;
        let api_key = match (&profile.sealed_api_key, &self.secrets) {
            (None, _) => None,
            (Some(_), None) => return Err(no_key(&profile)),
            (Some(sealed), Some(secrets)) => {
                let context = Profile::seal_context(found.home.plane, &profile.id);
                Some(secrets.open(sealed, &context).map_err(|_| no_key(&profile))?)
            }
        };
        let operator = self.single_token || profile.scope == ProfileScope::Gateway;
        let headers = match (family.name, &api_key) {
            ("portkey", Some(key)) => vec![("x-portkey-api-key".to_owned(), key.clone())],
            _ => Vec::new(),
        };
        Ok(Some(ProviderEndpoint {
            provider: profile.provider(),
            family,
            base_url: profile.base_url.unwrap_or_default(),
            api_key,
            origin: if operator {
                EndpointOrigin::Operator
            } else {
                EndpointOrigin::User
            },
            headers,
            allowed_models: profile.allowed_models,
            timeout: DEFAULT_TIMEOUT,
        }))
    }
}

fn no_key(profile: &Profile) -> ProviderError {
    ProviderError::Unsupported(format!(
        "The stored key of connection '{}' cannot be opened here",
        profile.id
    ))
}
