//! Stored connections for whoever calls models.

use std::sync::Arc;

use ag_effects::routes::scope_of_plane_name;
use ag_providers::{
    EndpointOrigin, EndpointProfiles, ProviderEndpoint, ProviderError, directory::DEFAULT_TIMEOUT, family,
    unknown_provider,
};
use ag_store::Documents;
use ag_types::PlaneId;
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
            ProviderError::ConnectionsUnreadable
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
                let context = Profile::seal_context(&found.home, &profile.id);
                Some(secrets.open(sealed, &context).map_err(|_| no_key(&profile))?)
            }
        };
        // The root plane belongs to the operator in every mode (architecture D8).
        let by_operator = profile.scope == ProfileScope::Gateway || found.home.plane == PlaneId::ROOT;
        let operator = self.single_token || by_operator;
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

#[cfg(test)]
mod tests {
    use ag_effects::routes::plane_name;
    use ag_store::{Document, DocumentKind, PutMode, fake::FakeStore};
    use ag_types::{PlaneKey, SystemClock, SystemScope, TenantScope, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::routes::testing::Mirror;
    use ag_store::Planes as _;
    use secrecy::ExposeSecret as _;

    #[tokio::test]
    async fn planes_see_their_own_and_what_is_shared() {
        let store = Arc::new(FakeStore::new(Arc::new(SystemClock)));
        let key = |tenant: &str| PlaneKey {
            tenant_id: tenant.into(),
            runtime_id: "r".into(),
        };
        let system = SystemScope::new("test");
        let a = store.plane(&system, &key("a")).await.expect("plane");
        let b = store.plane(&system, &key("b")).await.expect("plane");
        let root = TenantScope::root();
        let rows = [
            (&root, "shared", "gateway", "http://shared"),
            (&root, "both", "gateway", "http://root"),
            (&root, "private", "user", "http://private"),
            (&a, "own", "user", "http://own"),
            (&a, "both", "user", "http://a"),
        ];
        for (scope, id, kind, url) in rows {
            let context = Profile::seal_context(scope, id);
            let body = json!({"id": id, "display_name": id, "provider_family": "vllm", "base_url": url, "scope": kind,
                "enabled": true, "created_at": "", "updated_at": "", "sealed_api_key": format!("{context}|yek")});
            let document = Document {
                id: id.to_owned(),
                body: body.to_string(),
                updated_at: Timestamp::from_micros(0),
            };
            let put = store.put_document(scope, DocumentKind::EndpointProfile, document, PutMode::Upsert);
            put.await.expect("stored");
        }
        let profiles = StoredProfiles::new(store.clone(), Some(Arc::new(Mirror)), false);
        let (operator, user) = (EndpointOrigin::Operator, EndpointOrigin::User);
        let cases = [
            (&a, "shared", Some(("http://shared", operator))),
            (&a, "own", Some(("http://own", user))),
            (&a, "both", Some(("http://a", user))),
            (&b, "both", Some(("http://root", operator))),
            (&b, "own", None),
            (&b, "private", None),
            (&root, "private", Some(("http://private", operator))),
            (&root, "own", None),
            (&a, "a\0b", None),
        ];
        for (scope, id, expected) in cases {
            let found = profiles.endpoint(&plane_name(scope), id).await.expect("readable");
            let seen = found
                .as_ref()
                .map(|found| (found.base_url.as_str(), found.origin));
            assert_eq!(seen, expected, "{id}");
            let key = found.and_then(|found| found.api_key);
            assert_eq!(
                key.map(|key| key.expose_secret().to_owned()),
                expected.map(|_| "key".to_owned())
            );
        }
        let closed = StoredProfiles::new(store, None, false);
        assert!(
            closed.endpoint(&plane_name(&a), "own").await.is_err(),
            "a sealed key is not left out silently"
        );
    }
}
