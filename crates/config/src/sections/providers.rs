//! `[providers]`: variables that keep the names their own ecosystems gave them.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::secret::REDACTED;

pub(crate) const SECTION: &str = "providers";

/// Variables with a fixed name.
const NAMES: &[&str] = &[
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_STT_MODEL",
    "OPENAI_TTS_MODEL",
    "OPENAI_TTS_VOICES",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
    "OPENROUTER_BASE_URL",
    "OPENROUTER_API_KEY",
    "OPENROUTER_SITE_URL",
    "OPENROUTER_APP_NAME",
    "PORTKEY_BASE_URL",
    "PORTKEY_API_KEY",
    "PORTKEY_PROVIDER_API_KEY",
    "PORTKEY_CONFIG",
    "PORTKEY_VIRTUAL_KEY",
    "PORTKEY_PROVIDER",
    "LMSTUDIO_BASE_URL",
    "OLLAMA_BASE_URL",
    "OLLAMA_HOST",
    "VLLM_BASE_URL",
    "VLLM_API_KEY",
    "ACEMUSIC_API_KEY",
    "ACEMUSIC_BASE_URL",
    "ABSTRACTGATEWAY_BACKLOG_ADVISOR_AGENT",
    "ABSTRACTGATEWAY_ENABLE_PROCESS_MANAGER",
    "ABSTRACTGATEWAY_IMAGE_MAX_BYTES",
    "ABSTRACTGATEWAY_MAX_BACKLOG_ATTACHMENT_BYTES",
    "ABSTRACTGATEWAY_REPORT_COPY_ATTACHMENTS_TO_BACKLOG",
];

/// Families whose members are read by name where they are used.
const PREFIXES: &[&str] = &[
    "OPENAI_COMPATIBLE_",
    "ABSTRACTCORE_",
    "ABSTRACTMEMORY_",
    "ABSTRACTSEMANTICS_",
    "ABSTRACTVISION_",
    "ABSTRACTVOICE_",
    "ABSTRACTGATEWAY_ABSTRACTCORE_",
    "ABSTRACTGATEWAY_BACKLOG_",
    "ABSTRACTGATEWAY_MEMORY_",
    "ABSTRACTGATEWAY_PROCESS_MANAGER_",
    "ABSTRACTGATEWAY_PROVIDER_",
    "ABSTRACTGATEWAY_TRIAGE_",
    "ABSTRACTGATEWAY_UAT_",
    "ABSTRACTGATEWAY_VISION_",
    "ABSTRACTGATEWAY_VOICE_",
    "ABSTRACT_EMAIL_",
    "ABSTRACT_ENABLE_",
    "ABSTRACT_TELEGRAM_",
    "ABSTRACT_TRIAGE_",
    "TWILIO_",
];

/// Whether this section takes the variable.
pub(crate) fn is_known(name: &str) -> bool {
    secret_of_file(name).is_some() || is_value(name)
}

fn is_value(name: &str) -> bool {
    NAMES.contains(&name)
        || PREFIXES
            .iter()
            .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
}

/// By name, so that a new member of a family is careful from the first day. `…_ENV_VAR` names another variable.
fn is_secret(name: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "_KEY",
        "_TOKEN",
        "_SECRET",
        "_PASSWORD",
        "_HASH",
        "_SID",
        "_CODE",
        "_2FA_PASSWORD",
        "_CREDENTIALS",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The secret whose file the variable names: `OPENAI_API_KEY` for `OPENAI_API_KEY_FILE`.
pub(crate) fn secret_of_file(name: &str) -> Option<&str> {
    name.strip_suffix("_FILE")
        .filter(|stem| is_value(stem) && is_secret(stem))
}

/// Variables of model providers and of the media, memory and message bridges, by name. Blank means unset.
#[derive(Clone, Default)]
pub struct ProvidersConfig {
    plain: BTreeMap<String, String>,
    secret: BTreeMap<String, SecretString>,
}

impl ProvidersConfig {
    /// The value of a variable that is no secret, for example `OPENAI_BASE_URL`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// The value of a secret variable, for example `OPENAI_API_KEY`.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secret.get(name)
    }

    /// The first of several secret variables that is set.
    #[must_use]
    pub fn first_secret(&self, names: &[&str]) -> Option<&SecretString> {
        names.iter().find_map(|name| self.secret(name))
    }

    /// The first of several plain variables that is set.
    #[must_use]
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether a variable of either kind is set.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secret.contains_key(name)
    }

    /// All values with secrets replaced, by name.
    fn redacted(&self) -> BTreeMap<&str, &str> {
        let plain = self
            .plain
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        plain
            .chain(self.secret.keys().map(|name| (name.as_str(), REDACTED)))
            .collect()
    }
}

impl fmt::Debug for ProvidersConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.redacted()).finish()
    }
}

impl Serialize for ProvidersConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.redacted())
    }
}

impl<'de> Deserialize<'de> for ProvidersConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut out = Self::default();
        for (name, value) in BTreeMap::<String, SecretString>::deserialize(deserializer)? {
            let text = value.expose_secret().trim();
            if !is_value(&name) {
                return Err(D::Error::custom(format!("unknown provider variable `{name}`")));
            }
            if text.is_empty() {
                continue;
            }
            if is_secret(&name) {
                out.secret.insert(name, SecretString::from(text));
            } else {
                out.plain.insert(name, text.to_owned());
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_secrets() {
        // name, known, secret
        let cases = [
            ("OPENAI_BASE_URL", true, false),
            ("OPENAI_API_KEY", true, true),
            ("OPENAI_API_KEY_FILE", true, false),
            ("OPENAI_ORGANIZATION", false, false),
            ("PORTKEY_VIRTUAL_KEY", true, true),
            ("ABSTRACTCORE_AUTH_TOKEN", true, true),
            ("ABSTRACTCORE_SERVER_BASE_URL", true, false),
            ("ABSTRACTVOICE_", false, false),
            ("ABSTRACT_TELEGRAM_BOT_TOKEN", true, true),
            ("ABSTRACT_TELEGRAM_API_HASH", true, true),
            ("ABSTRACT_EMAIL_IMAP_PASSWORD_ENV_VAR", true, false),
            ("ABSTRACTGATEWAY_TRIAGE_ACTION_SECRET", true, true),
            ("TWILIO_ACCOUNT_SID", true, true),
            ("OPENAI_BASE_URL_FILE", false, false),
            ("HOME", false, false),
        ];
        for (name, known, secret) in cases {
            assert_eq!(is_known(name), known, "{name}");
            assert_eq!(is_known(name) && is_secret(name), secret, "{name}");
        }
    }
}
