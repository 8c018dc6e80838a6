//! The namespace of a session's cache: readable, and different for every principal.

use ag_types::Object;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Namespaces longer than this get the short form.
const MAX_CHARS: usize = 240;

/// What a session's cache is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    pub(super) session_id: String,
    pub(super) bundle_id: String,
    pub(super) bundle_version: String,
    pub(super) flow_id: String,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) template_id: String,
    pub(super) version: i64,
}

impl Identity {
    /// As answers show it.
    pub(super) fn value(&self) -> Value {
        json!({
            "session_id": self.session_id,
            "bundle_id": self.bundle_id,
            "bundle_version": self.bundle_version,
            "flow_id": self.flow_id,
            "provider": self.provider,
            "model": self.model,
            "template_id": self.template_id,
            "version": self.version,
        })
    }

    /// `agw.pc.v1.s-<session>…h-<hash>`; the hash covers the whole identity and the principal.
    pub(super) fn namespace(&self, principal: &Value) -> String {
        let digest = self.digest(principal);
        let session = label(&self.session_id, 36, "session");
        let provider = label(&self.provider, 28, "provider");
        let version = self.version;
        let long = format!(
            "agw.pc.v{version}.s-{session}.b-{}.v-{}.f-{}.t-{}.p-{provider}.m-{}.h-{}",
            label(&self.bundle_id, 36, "bundle"),
            label(&self.bundle_version, 24, "latest"),
            label(&self.flow_id, 36, "flow"),
            label(&self.template_id, 36, "template"),
            label(&self.model, 48, "model"),
            &digest[..16],
        );
        if long.len() <= MAX_CHARS {
            return long;
        }
        format!("agw.pc.v{version}.s-{session}.p-{provider}.h-{}", &digest[..24])
    }

    /// Over the compact text with sorted keys.
    fn digest(&self, principal: &Value) -> String {
        let mut identity = self.value();
        identity["_principal_scope"] = sorted(principal).to_string().into();
        hex::encode(Sha256::digest(sorted(&identity).to_string().as_bytes()))
    }
}

fn sorted(value: &Value) -> Value {
    let Some(map) = value.as_object() else {
        return value.clone();
    };
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Object>(),
    )
}

fn label(text: &str, max: usize, fallback: &str) -> String {
    let clean: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let edges = ['.', '_', '-'];
    let clean: String = clean.trim_matches(edges).chars().take(max).collect();
    let clean = clean.trim_matches(edges);
    if clean.is_empty() {
        fallback.to_owned()
    } else {
        clean.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(session: &str, bundle: &str) -> Identity {
        Identity {
            session_id: session.to_owned(),
            bundle_id: bundle.to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            version: 1,
            ..Identity::default()
        }
    }

    /// Recorded on the reference.
    #[test]
    fn recorded_names() {
        let local = json!({"tenant_id": "local", "user_id": "local-admin", "runtime_id": "local-admin",
            "source": "legacy-token"});
        assert_eq!(
            identity("s1", "bundle").namespace(&local),
            "agw.pc.v1.s-s1.b-bundle.v-latest.f-flow.t-template.p-openai.m-gpt-4o-mini.h-bd0cfd1d7d7edfa2"
        );
        let odd = Identity {
            flow_id: "éx".to_owned(),
            model: "--".to_owned(),
            ..identity("--a__b--", "..")
        };
        assert_eq!(
            odd.namespace(&local),
            "agw.pc.v1.s-a__b.b-bundle.v-latest.f-x.t-template.p-openai.m-model.h-83892c86206171d8"
        );
        let a = "a".repeat(70);
        let long = Identity {
            session_id: a.clone(),
            bundle_id: a.clone(),
            bundle_version: a.clone(),
            flow_id: a.clone(),
            provider: a.clone(),
            model: a.clone(),
            template_id: a,
            version: 1,
        };
        assert_eq!(
            long.namespace(&local),
            format!(
                "agw.pc.v1.s-{}.p-{}.h-be46654bb308c734ae027d99",
                "a".repeat(36),
                "a".repeat(28)
            )
        );
        let other = json!({"tenant_id": "t", "user_id": "u", "runtime_id": "u", "source": "legacy-token"});
        assert_ne!(
            identity("s1", "b").namespace(&local),
            identity("s1", "b").namespace(&other)
        );
    }
}
