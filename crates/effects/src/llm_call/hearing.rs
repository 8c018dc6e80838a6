//! Recordings for models that cannot hear: written down first, where the call allows it.

use ag_providers::ModelCapabilities;
use ag_providers::media::{MediaFile, TranscribeRequest};
use serde_json::Value;

use super::input::Input;
use crate::routes::ModelResolver;
use crate::{EffectCtx, Failure};

/// Used when the route names no model.
const DEFAULT_MODEL: &str = "whisper-1";

/// How recordings are to be treated.
pub(super) struct Hearing<'a> {
    resolver: &'a ModelResolver,
    policy: Option<String>,
    language: Option<String>,
}

impl<'a> Hearing<'a> {
    /// `audio_policy` and `stt_language` of the parameters, else of the run.
    pub(super) fn new(resolver: &'a ModelResolver, input: &Input<'_>) -> Self {
        let text = |key: &str| {
            input
                .param(key)
                .or_else(|| input.runtime(key))
                .and_then(ag_pyvalue::opt_str)
        };
        Self {
            resolver,
            policy: text("audio_policy"),
            language: text("stt_language"),
        }
    }

    /// Whether a recording is written down instead of sent: always under `speech_to_text`, under `auto` only for a
    /// model that cannot hear.
    pub(super) fn writes_down(&self, capabilities: &ModelCapabilities) -> bool {
        match self.policy.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("speech_to_text" | "stt") => true,
            Some("auto") => !capabilities.audio,
            _ => false,
        }
    }

    /// The words of a recording, by the plane's route for voice input.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn transcribe(&self, ctx: &EffectCtx<'_>, file: MediaFile) -> Result<String, Failure> {
        let missing =
            || "Audio input needs a speech-to-text model, but no route is configured for input.voice";
        let found = self.resolver.routes().route(ctx.scope, "input.voice").await;
        let found = found?.ok_or_else(missing)?;
        let client = self.resolver.of_route(ctx.scope, &found).await?;
        let port = client.transcriber.ok_or_else(missing)?;
        let configured = || {
            found
                .route
                .options
                .get("language")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let request = TranscribeRequest {
            model: found
                .route
                .model
                .clone()
                .unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            file,
            language: self.language.clone().or_else(configured),
            ..TranscribeRequest::default()
        };
        let transcript = port.transcribe(request, ctx.cancel.clone()).await;
        transcript
            .map(|transcript| transcript.text)
            .map_err(|error| Failure::Text(error.to_string()))
    }
}
