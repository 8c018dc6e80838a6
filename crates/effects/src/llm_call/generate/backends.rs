//! Back ends for media that the environment names (contract, media §10), for calls that name none and have no default.
//!
//! The variables select among servers here; engines inside the process, which the reference has too, are refused by
//! name, so that nobody pays a cloud for what was meant to stay at home.

use ag_providers::family;
use secrecy::SecretString;

use super::spec::Task;

/// One back end.
#[derive(Debug, Clone, Default)]
pub(super) struct Backend {
    /// As the variable says, where it says anything.
    pub(super) engine: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) api_key: Option<SecretString>,
    pub(super) model: Option<String>,
    pub(super) voice: Option<String>,
}

impl Backend {
    /// Whether anything is set that selects a server.
    fn selects(&self) -> bool {
        self.engine.is_some() || self.base_url.is_some()
    }

    /// The provider behind it. A bare address is OpenAI's own, or any server's that speaks its protocol.
    ///
    /// # Errors
    /// The name of an engine that runs in process.
    pub(super) fn provider(&self) -> Result<&'static str, &str> {
        match self.engine.as_deref() {
            None | Some("remote" | "http" | "auto") => {
                let address = self.base_url.as_deref().unwrap_or_default();
                let own = address.is_empty() || address.contains("://api.openai.com");
                Ok(if own { "openai" } else { "openai-compatible" })
            }
            Some(engine) => family(engine)
                .filter(|family| !family.base_url_env.is_empty())
                .map(|family| family.name)
                .ok_or(engine),
        }
    }
}

/// The back ends of a process.
#[derive(Debug, Clone, Default)]
pub struct MediaBackends {
    vision: Backend,
    speech: Backend,
    transcription: Backend,
}

impl MediaBackends {
    /// Reads the variables through `lookup`; blank ones count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            let values = names.iter().filter_map(|name| lookup(name));
            values
                .map(|value| value.trim().to_owned())
                .find(|value| !value.is_empty())
        };
        let engine = |names: &[&str]| first(names).map(|name| name.to_lowercase());
        let voice = |kind: &str| {
            let of = |pattern: &str| pattern.replace('*', kind);
            let all = |patterns: &[&str]| patterns.iter().map(|pattern| of(pattern)).collect::<Vec<_>>();
            let named = |patterns: &[&str]| {
                let names = all(patterns);
                first(&names.iter().map(String::as_str).collect::<Vec<_>>())
            };
            Backend {
                engine: named(&["ABSTRACTGATEWAY_VOICE_*_ENGINE", "ABSTRACTVOICE_*_ENGINE"])
                    .map(|name| name.to_lowercase()),
                base_url: first(&[
                    "ABSTRACTGATEWAY_VOICE_REMOTE_BASE_URL",
                    "ABSTRACTVOICE_REMOTE_BASE_URL",
                ]),
                api_key: first(&["ABSTRACTVOICE_OPENAI_API_KEY"]).map(SecretString::from),
                model: named(&[
                    "ABSTRACTGATEWAY_VOICE_*_MODEL",
                    "ABSTRACTVOICE_*_MODEL",
                    "ABSTRACTVOICE_OPENAI_*_MODEL",
                    "ABSTRACTVOICE_OPENAI_COMPATIBLE_*_MODEL",
                    "ABSTRACTVOICE_REMOTE_*_MODEL",
                ]),
                voice: named(&["ABSTRACTVOICE_*_VOICE"]),
            }
        };
        Self {
            vision: Backend {
                engine: engine(&[
                    "ABSTRACTGATEWAY_VISION_BACKEND",
                    "ABSTRACTCORE_VISION_BACKEND",
                    "ABSTRACTVISION_BACKEND",
                ]),
                base_url: first(&["ABSTRACTVISION_BASE_URL"]),
                api_key: first(&["ABSTRACTVISION_API_KEY"]).map(SecretString::from),
                model: first(&[
                    "ABSTRACTGATEWAY_VISION_MODEL_ID",
                    "ABSTRACTVISION_MODEL_ID",
                    "ABSTRACTCORE_VISION_MODEL_ID",
                    "ABSTRACTCORE_VISION_UPSTREAM_MODEL_ID",
                ]),
                voice: None,
            },
            speech: voice("TTS"),
            transcription: voice("STT"),
        }
    }

    /// The back end of a task. Videos, music and enlarging need to be named: no common server does them.
    pub(super) fn of(&self, task: Task) -> Option<&Backend> {
        let backend = match task {
            Task::Image | Task::ImageEdit => &self.vision,
            Task::Speech => &self.speech,
            Task::Transcription => &self.transcription,
            _ => return None,
        };
        // A model alone goes to the usual server.
        (backend.selects() || backend.model.is_some() || backend.voice.is_some()).then_some(backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(vars: &[(&str, &str)]) -> MediaBackends {
        MediaBackends::from_lookup(|name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_select_a_server() {
        assert!(backends(&[]).of(Task::Image).is_none());
        type Case<'a> = (
            &'a [(&'a str, &'a str)],
            Task,
            Result<&'static str, &'a str>,
            Option<&'a str>,
        );
        let cases: [Case<'_>; 7] = [
            (
                &[("ABSTRACTVISION_BASE_URL", "http://v/v1")],
                Task::ImageEdit,
                Ok("openai-compatible"),
                None,
            ),
            (
                &[("ABSTRACTVISION_BASE_URL", "https://api.openai.com/v1")],
                Task::Image,
                Ok("openai"),
                None,
            ),
            (
                &[("ABSTRACTGATEWAY_VISION_BACKEND", "Diffusers")],
                Task::Image,
                Err("diffusers"),
                None,
            ),
            (
                &[
                    ("ABSTRACTVOICE_TTS_ENGINE", "openai"),
                    ("ABSTRACTVOICE_OPENAI_TTS_MODEL", "tts-1-hd"),
                ],
                Task::Speech,
                Ok("openai"),
                Some("tts-1-hd"),
            ),
            (
                &[
                    ("ABSTRACTGATEWAY_VOICE_REMOTE_BASE_URL", "http://w"),
                    ("ABSTRACTVOICE_STT_MODEL", "w-1"),
                ],
                Task::Transcription,
                Ok("openai-compatible"),
                Some("w-1"),
            ),
            (
                &[("ABSTRACTVOICE_STT_ENGINE", "faster-whisper")],
                Task::Transcription,
                Err("faster-whisper"),
                None,
            ),
            (
                &[("ABSTRACTVOICE_STT_ENGINE", "mlx")],
                Task::Transcription,
                Err("mlx"),
                None,
            ),
        ];
        for (vars, task, provider, model) in cases {
            let backends = backends(vars);
            let backend = backends.of(task).expect("selected");
            assert_eq!(
                (backend.provider(), backend.model.as_deref()),
                (provider, model),
                "{vars:?}"
            );
        }
        assert!(
            backends(&[("ABSTRACTVOICE_TTS_ENGINE", "openai")])
                .of(Task::Transcription)
                .is_none()
        );
    }
}
