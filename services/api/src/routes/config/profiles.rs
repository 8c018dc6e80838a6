//! Stored connections (`endpoint:<id>`): rows of the caller's plane, and those that admins share with everybody, which
//! lie in the root plane. A plane's own connection hides a shared one of the same id.

pub(super) mod discover;
mod environment;
pub(super) mod operations;
mod port;
mod reseal;

use ag_store::{Document, DocumentKind, Documents, PutMode, PutOutcome, StoreError};
use ag_types::{PlaneId, TenantScope, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use port::StoredProfiles;
pub use reseal::{Resealed, reseal_secrets};

use crate::{ApiResult, CallContext};

/// Start of provider names that mean connections.
const PREFIX: &str = "endpoint:";

/// Who sees a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::routes) enum ProfileScope {
    /// Its plane.
    #[default]
    User,
    /// Everybody; made by admins.
    Gateway,
}

/// A stored connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::routes) struct Profile {
    pub(in crate::routes) id: String,
    pub(in crate::routes) display_name: String,
    #[serde(default)]
    pub(in crate::routes) description: String,
    pub(in crate::routes) provider_family: String,
    #[serde(default)]
    pub(in crate::routes) base_url: Option<String>,
    #[serde(default)]
    pub(in crate::routes) scope: ProfileScope,
    #[serde(default)]
    pub(in crate::routes) capabilities: Vec<String>,
    #[serde(default)]
    pub(in crate::routes) allowed_models: Vec<String>,
    pub(in crate::routes) enabled: bool,
    pub(in crate::routes) created_at: String,
    pub(in crate::routes) updated_at: String,
    /// Encrypted key; never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_api_key: Option<String>,
    /// First 16 hex digits of the key's SHA-256.
    #[serde(default)]
    api_key_fingerprint: String,
}

impl Profile {
    /// `endpoint:<id>`.
    pub(in crate::routes) fn provider(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }

    /// Whether a key is stored.
    pub(in crate::routes) fn has_key(&self) -> bool {
        self.sealed_api_key.is_some()
    }

    /// The form that clients see.
    pub(in crate::routes) fn public(&self) -> Value {
        json!({
            "id": self.id,
            "virtual_provider": self.provider(),
            "display_name": self.display_name,
            "description": self.description,
            "provider_family": self.provider_family,
            "base_url": self.base_url,
            "base_url_configured": self.base_url.is_some(),
            "api_key_set": self.has_key(),
            "api_key_fingerprint": self.api_key_fingerprint,
            "scope": self.scope,
            "capabilities": self.capabilities,
            "allowed_models": self.allowed_models,
            "enabled": self.enabled,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }

    /// What a sealed key is bound to: moved to another row it does not open.
    fn seal_context(home: &TenantScope, id: &str) -> String {
        ag_auth::endpoint_profile_context(&home.key.tenant_id, &home.key.runtime_id, id)
    }

    fn set_key(&mut self, sealed: Option<(String, &SecretString)>) {
        (self.sealed_api_key, self.api_key_fingerprint) = match sealed {
            Some((sealed, key)) => (Some(sealed), fingerprint(key)),
            None => (None, String::new()),
        };
    }
}

/// First 16 hex digits of a key's SHA-256.
fn fingerprint(key: &SecretString) -> String {
    let mut digest = hex::encode(Sha256::digest(key.expose_secret().as_bytes()));
    digest.truncate(16);
    digest
}

/// The id in `x` or `endpoint:x`.
fn bare_id(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix(PREFIX).unwrap_or(text)
}

/// A connection, the plane whose row it is, and the row's text.
struct Found {
    profile: Profile,
    home: TenantScope,
    body: String,
}

/// A connection by id, as a plane sees it.
async fn find(store: &dyn Documents, scope: &TenantScope, id: &str) -> Result<Option<Found>, StoreError> {
    if id.is_empty() || id.contains('\0') {
        return Ok(None);
    }
    let root = (scope.plane != PlaneId::ROOT).then(TenantScope::root);
    for home in std::iter::once(scope).chain(root.as_ref()) {
        let document = store.document(home, DocumentKind::EndpointProfile, id).await?;
        let found = document.and_then(|document| {
            Some(Found {
                profile: read(&document)?,
                home: home.clone(),
                body: document.body,
            })
        });
        let seen = |found: &Found| home.plane == scope.plane || found.profile.scope == ProfileScope::Gateway;
        if let Some(found) = found.filter(seen) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(document: &Document) -> Option<Profile> {
    let profile = serde_json::from_str(&document.body);
    if let Err(error) = &profile {
        tracing::warn!(profile = document.id, error = %error, "skipping an unreadable connection");
    }
    profile.ok()
}

/// All connections that the caller sees, by id.
pub(in crate::routes) async fn visible(ctx: &CallContext) -> ApiResult<Vec<Profile>> {
    let (_, documents) = ctx
        .store()
        .documents(ctx.scope(), DocumentKind::EndpointProfile)
        .await?;
    let mut profiles: Vec<Profile> = documents.iter().filter_map(read).collect();
    if ctx.scope().plane != PlaneId::ROOT {
        let (_, shared) = ctx
            .store()
            .documents(&TenantScope::root(), DocumentKind::EndpointProfile)
            .await?;
        let shared = shared
            .iter()
            .filter_map(read)
            .filter(|profile| profile.scope == ProfileScope::Gateway);
        let shared: Vec<Profile> = shared
            .filter(|shared| profiles.iter().all(|own| own.id != shared.id))
            .collect();
        profiles.extend(shared);
    }
    profiles.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(profiles)
}

/// The enabled connection that a provider name means, if it has the form of one.
pub(in crate::routes) async fn named(ctx: &CallContext, provider: &str) -> ApiResult<Option<Profile>> {
    let Some(id) = provider.trim().strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let found = find(ctx.store(), ctx.scope(), id).await?;
    Ok(found.map(|found| found.profile).filter(|profile| profile.enabled))
}

/// The row of a connection.
fn row(profile: &Profile, now: Timestamp) -> ApiResult<Document> {
    let body =
        serde_json::to_string(profile).map_err(|error| crate::ApiError::internal("connection", &error))?;
    Ok(Document {
        id: profile.id.clone(),
        body,
        updated_at: now,
    })
}

/// Writes a row in place of the text that was `read` there; `None`: there was no connection. False if it changed
/// meanwhile: what was made of it could undo that, a newly sealed key above all.
async fn put_over(
    store: &dyn Documents,
    home: &TenantScope,
    read_body: Option<&str>,
    document: Document,
) -> Result<bool, StoreError> {
    const KIND: DocumentKind = DocumentKind::EndpointProfile;
    if let Some(body) = read_body {
        return store.replace_unchanged(home, KIND, body, document).await;
    }
    let put = store.put_document(home, KIND, document.clone(), PutMode::Create);
    if let PutOutcome::Written { .. } = put.await? {
        return Ok(true);
    }
    match store.document(home, KIND, &document.id).await? {
        // Nobody can read it, so nothing is lost with it.
        Some(damaged) if read(&damaged).is_none() => {
            store.replace_unchanged(home, KIND, &damaged.body, document).await
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ag_store::fake::FakeStore;
    use ag_types::SystemClock;

    use super::*;

    /// A connection is written only over what its writer has read.
    #[tokio::test]
    async fn a_connection_that_changed_meanwhile_is_not_written() {
        let (kind, scope) = (DocumentKind::EndpointProfile, TenantScope::root());
        let good = |name: &str| {
            json!({"id": "c", "display_name": name, "provider_family": "f", "enabled": true, "created_at": "",
                "updated_at": ""})
            .to_string()
        };
        let (first, second, third) = (good("1"), good("2"), good("3"));
        for (what, stored, read, written) in [
            ("a new one", None, None, true),
            ("one that was made meanwhile", Some(&first), None, false),
            ("one that nobody can read", Some(&"{".to_owned()), None, true),
            ("one that is as it was read", Some(&first), Some(&first), true),
            (
                "one that was changed meanwhile",
                Some(&second),
                Some(&first),
                false,
            ),
            ("one that was deleted meanwhile", None, Some(&first), false),
        ] {
            let store = FakeStore::new(Arc::new(SystemClock));
            let document = |body: &str| Document {
                id: "c".to_owned(),
                body: body.to_owned(),
                updated_at: Timestamp::from_micros(0),
            };
            if let Some(stored) = stored {
                let put = store.put_document(&scope, kind, document(stored), PutMode::Create);
                put.await.expect("stored");
            }
            let put = put_over(&store, &scope, read.map(String::as_str), document(&third));
            assert_eq!(put.await.expect("put"), written, "{what}");
            let left = store.document(&scope, kind, "c").await.expect("read");
            let expected = if written { Some(&third) } else { stored };
            assert_eq!(left.map(|left| left.body).as_ref(), expected, "{what}");
        }
    }
}
