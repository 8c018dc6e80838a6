//! Connections to providers, with their keys.
//!
//! The reference keeps keys in the clear. Here they are encrypted before they reach the store, bound to the row of
//! the connection; where the gateway has no key to encrypt with, the connection comes without.

use std::path::Path;

use ag_auth::{SecretBox, SecretBoxError, endpoint_profile_context};
use ag_store::{Document, DocumentKind};
use ag_types::{PlaneKey, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    documents::{self, FoundDocument},
    report::Report,
};
use crate::ImportError;

/// Family of a connection that names none.
const FAMILY: &str = "openai-compatible";

/// The connections of a plane.
pub(super) fn find(
    data: &Path,
    report: &mut Report,
    found: &mut Vec<FoundDocument>,
) -> Result<(), ImportError> {
    let Some(file) = documents::load(&data.join("config/provider_endpoint_profiles.json"), report)? else {
        return Ok(());
    };
    let items: Vec<&Value> = match file.get("profiles") {
        Some(Value::Object(map)) => map.values().collect(),
        Some(Value::Array(items)) => items.iter().collect(),
        _ => Vec::new(),
    };
    let mut nameless = 0;
    for item in items {
        let text = |key: &str| {
            item.get(key)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let Some(id) = text("id") else {
            nameless += 1;
            continue;
        };
        let list = |key: &str| item.get(key).filter(|list| list.is_array()).cloned();
        let created = text("created_at").unwrap_or_default();
        let body = json!({
            "id": id, "display_name": text("display_name").unwrap_or(id),
            "description": text("description").unwrap_or_default(),
            "provider_family": text("provider_family").or(text("provider")).unwrap_or(FAMILY),
            "base_url": text("base_url"),
            "scope": text("scope").filter(|scope| *scope == "gateway").unwrap_or("user"),
            "capabilities": list("capabilities").unwrap_or_else(|| json!(["text"])),
            "allowed_models": list("allowed_models").unwrap_or_else(|| json!([])),
            "enabled": item.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            "created_at": created, "updated_at": text("updated_at").unwrap_or(created),
        });
        let before = found.len();
        let at = Timestamp::parse(created).ok();
        documents::push(found, DocumentKind::EndpointProfile, id.to_owned(), &body, at);
        let key = text("api_key").map(SecretString::from);
        for new in &mut found[before..] {
            new.key.clone_from(&key);
        }
    }
    if nameless > 0 {
        report.warn(format!(
            "{nameless} provider connections without an id are left out"
        ));
    }
    Ok(())
}

/// The document as it is stored: with its key, encrypted, where there is one and something to encrypt it with.
///
/// # Errors
/// The text of a warning: the document then comes without its key.
pub(super) fn sealed(
    found: &FoundDocument,
    plane: &PlaneKey,
    secrets: Option<&dyn SecretBox>,
) -> Result<Document, String> {
    let mut document = found.document.clone();
    let Some(key) = &found.key else {
        return Ok(document);
    };
    let context = endpoint_profile_context(&plane.tenant_id, &plane.runtime_id, &document.id);
    let sealed = match secrets {
        Some(secrets) => secrets.seal(key, &context),
        None => Err(SecretBoxError::KeyMissing),
    };
    let sealed = sealed.map_err(|_| documents::without_key(&document.id))?;
    // What was made above is an object.
    if let Ok(Value::Object(mut body)) = serde_json::from_str(&document.body) {
        let mut fingerprint = hex::encode(Sha256::digest(key.expose_secret().as_bytes()));
        fingerprint.truncate(16);
        body.insert("sealed_api_key".to_owned(), sealed.into());
        body.insert("api_key_fingerprint".to_owned(), fingerprint.into());
        document.body = Value::Object(body).to_string();
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use ag_auth::KeyFile;

    use super::*;

    #[test]
    fn keys_are_encrypted_for_their_row_only() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join("config")).expect("made");
        let file = json!({"version": 1, "profiles": [
            {"id": "a", "provider_family": "openai", "api_key": " sk-canary ", "scope": "gateway", "enabled": false},
            {"id": "b", "base_url": "http://b/v1"},
            {"display_name": "nameless"},
        ]});
        let path = folder.path().join("config/provider_endpoint_profiles.json");
        std::fs::write(path, file.to_string()).expect("written");
        let (mut report, mut found) = (Report::default(), Vec::new());
        find(folder.path(), &mut report, &mut found).expect("read");
        assert_eq!(found.len(), 2);
        assert_eq!(
            report.warnings,
            ["1 provider connections without an id are left out"]
        );
        assert!(!format!("{found:?} {report:?}").contains("canary"));

        let plane = PlaneKey {
            tenant_id: "t".into(),
            runtime_id: "r".into(),
        };
        let keys = KeyFile::new(folder.path().join("keys")).expect("keys");
        let stored = sealed(&found[0], &plane, Some(&keys)).expect("sealed");
        assert!(!stored.body.contains("canary"));
        let body: Value = serde_json::from_str(&stored.body).expect("object");
        assert_eq!(
            (&body["scope"], &body["enabled"]),
            (&json!("gateway"), &json!(false))
        );
        assert_eq!(body["api_key_fingerprint"].as_str().map(str::len), Some(16));
        let text = body["sealed_api_key"].as_str().expect("sealed");
        let open = |tenant: &str, id: &str| {
            let opened = keys.open(text, &endpoint_profile_context(tenant, "r", id));
            opened.map(|key| key.expose_secret().to_owned())
        };
        assert_eq!(open("t", "a").as_deref(), Ok("sk-canary"));
        assert!(open("t", "b").is_err() && open("u", "a").is_err());

        let bare = sealed(&found[1], &plane, None).expect("no key to encrypt");
        let body: Value = serde_json::from_str(&bare.body).expect("object");
        assert_eq!(body["provider_family"], "openai-compatible");
        assert!(body.get("sealed_api_key").is_none());
        let warning = sealed(&found[0], &plane, None).expect_err("nothing to encrypt with");
        assert!(warning.contains("'a'") && !warning.contains("canary"));
    }
}
