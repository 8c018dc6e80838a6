//! Asking for media.

use ag_providers::ProviderError;
use ag_providers::media::{
    ImageRequest, MediaReply, MusicRequest, SpeechRequest, TranscribeRequest, UpscaleRequest, VideoRequest,
};
use ag_pyvalue::{opt_float, opt_int};
use ag_types::Object;
use bytes::Bytes;
use serde_json::Value;

use super::source::Sources;
use super::spec::{Spec, Task};
use super::target::{Target, unsupported};
use crate::EffectCtx;
use crate::llm_call::text_of;

/// Models where neither call nor default names one (contract, media §9.1).
const IMAGE_MODEL: &str = "gpt-image-1";
const SPEECH_MODEL: &str = "gpt-4o-mini-tts";
const TRANSCRIBE_MODEL: &str = "gpt-4o-mini-transcribe";
const VOICE: &str = "alloy";
/// Most pieces of one request.
const MAX_COUNT: i64 = 64;

/// One call.
pub(super) struct Call<'a> {
    pub(super) ctx: &'a EffectCtx<'a>,
    pub(super) spec: &'a Spec,
    pub(super) target: &'a Target,
    pub(super) prompt: String,
    pub(super) sources: &'a Sources,
    /// Idempotency key.
    pub(super) key: String,
}

/// Something made.
pub(super) struct Piece {
    pub(super) data: Bytes,
    pub(super) content_type: String,
    /// How the server sent it, for the record.
    pub(super) sent_as: Option<&'static str>,
}

impl Call<'_> {
    /// The words of the recording.
    pub(super) async fn transcribe(&self) -> Result<String, String> {
        let port = self
            .target
            .client
            .transcriber
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let request = TranscribeRequest {
            model: self.model().unwrap_or(TRANSCRIBE_MODEL).to_owned(),
            file: self.sources.recording().cloned().unwrap_or_default(),
            language: self.text("language"),
            prompt: text_of(&self.spec.options, "prompt"),
            temperature: self.float("temperature"),
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let transcript = port.transcribe(request, self.ctx.cancel.clone()).await;
        transcript.map(|transcript| transcript.text).map_err(shown)
    }

    /// Everything else; at least one piece.
    pub(super) async fn make(&self) -> Result<Vec<Piece>, String> {
        let made = match self.spec.task {
            Task::Image | Task::ImageEdit => self.image().await,
            Task::ImageUpscale => self.upscale().await,
            Task::TextToVideo | Task::ImageToVideo => self.video().await,
            Task::Speech => return self.speech().await,
            Task::Music | Task::Sound => self.music().await,
            Task::Transcription => return Err(unsupported(self.spec)),
        }?;
        if made.is_empty() {
            return Err(format!(
                "The server made nothing for task '{}'.",
                self.spec.task_name
            ));
        }
        Ok(made.into_iter().map(|reply| self.piece(reply)).collect())
    }

    async fn image(&self) -> Result<Vec<MediaReply>, String> {
        let port = self
            .target
            .client
            .images
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let mut options = self.options(&[
            "size", "quality", "style", "strength", "count", "n", "prompt", "text",
        ]);
        options.insert("format".to_owned(), self.spec.format().into());
        let sides = || Some(format!("{}x{}", self.int("width")?, self.int("height")?));
        let edit = self.spec.task == Task::ImageEdit;
        let request = ImageRequest {
            model: self.model().unwrap_or(IMAGE_MODEL).to_owned(),
            prompt: self.prompt.clone(),
            images: if edit {
                self.sources.pictures().to_vec()
            } else {
                Vec::new()
            },
            mask: self.sources.mask().filter(|_| edit).cloned(),
            size: self.text("size").or_else(sides),
            quality: self.text("quality"),
            style: self.text("style"),
            strength: self.float("strength").filter(|_| edit),
            count: self.count(),
            options,
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let progress = |report| self.ctx.progress.report(self.reported(report));
        let made = port.image(request, &progress, self.ctx.cancel.clone()).await;
        made.map_err(shown)
    }

    async fn upscale(&self) -> Result<Vec<MediaReply>, String> {
        let port = self
            .target
            .client
            .upscaler
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let mut options = self.options(&["prompt", "text", "output_format"]);
        options.insert("format".to_owned(), self.spec.format().into());
        let request = UpscaleRequest {
            model: self.model().unwrap_or_default().to_owned(),
            image: self.sources.pictures().first().cloned().unwrap_or_default(),
            options,
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let progress = |report| self.ctx.progress.report(self.reported(report));
        let made = port.upscale(request, &progress, self.ctx.cancel.clone()).await;
        made.map_err(shown)
    }

    async fn video(&self) -> Result<Vec<MediaReply>, String> {
        let port = self
            .target
            .client
            .videos
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let mut options = self.options(&["count", "n", "prompt", "text"]);
        options.insert("format".to_owned(), self.spec.format().into());
        let from_picture = self.spec.task == Task::ImageToVideo;
        let request = VideoRequest {
            model: self.model().unwrap_or_default().to_owned(),
            prompt: self.prompt.clone(),
            image: self.sources.pictures().first().filter(|_| from_picture).cloned(),
            count: self.count(),
            options,
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let progress = |report| self.ctx.progress.report(self.reported(report));
        let made = port.video(request, &progress, self.ctx.cancel.clone()).await;
        made.map_err(shown)
    }

    async fn music(&self) -> Result<Vec<MediaReply>, String> {
        let port = self
            .target
            .client
            .music
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let task = match self.spec.task_name.as_str() {
            "music_generation" => "text_to_music",
            "sound_generation" => "text_to_audio",
            other => other,
        };
        let request = MusicRequest {
            model: self.model().unwrap_or_default().to_owned(),
            task: task.to_owned(),
            prompt: self.prompt.clone(),
            format: self.spec.format(),
            options: self.options(&["format", "prompt", "text"]),
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let made = port.music(request, self.ctx.cancel.clone()).await;
        made.map(|reply| vec![reply]).map_err(shown)
    }

    async fn speech(&self) -> Result<Vec<Piece>, String> {
        let port = self
            .target
            .client
            .speech
            .as_ref()
            .ok_or_else(|| unsupported(self.spec))?;
        let voice = self.text("voice").or_else(|| self.text("profile"));
        let format = self.spec.format();
        let request = SpeechRequest {
            model: self.model().unwrap_or(SPEECH_MODEL).to_owned(),
            input: self.prompt.clone(),
            voice: voice.unwrap_or_else(|| VOICE.to_owned()),
            format: format.clone(),
            instructions: self.text("instructions"),
            speed: self.float("speed"),
            options: self.options(&["voice", "format", "instructions", "speed", "prompt", "text"]),
            idempotency_key: Some(self.key.clone()),
            timeout: None,
        };
        let reply = port
            .speak(request, self.ctx.cancel.clone())
            .await
            .map_err(shown)?;
        Ok(vec![Piece {
            data: reply.data,
            // As asked for: what servers say about their sounds is not reliable (contract, media §2).
            content_type: format!("audio/{format}"),
            sent_as: None,
        }])
    }

    fn piece(&self, reply: MediaReply) -> Piece {
        let kind = match self.spec.task.modality() {
            "image" => "image",
            "video" => "video",
            _ => "audio",
        };
        let told = reply.content_type.starts_with(&format!("{kind}/"));
        Piece {
            content_type: match told {
                true => reply.content_type,
                false => format!("{kind}/{}", self.spec.format()),
            },
            data: reply.data,
            sent_as: reply.sent_as,
        }
    }

    fn model(&self) -> Option<&str> {
        self.target.model.as_deref()
    }

    /// A member of the specification, else of the default.
    fn option(&self, key: &str) -> Option<&Value> {
        let given = |map: &'_ Object| map.get(key).is_some_and(|value| !value.is_null());
        let map = if given(&self.spec.options) {
            &self.spec.options
        } else {
            &self.target.defaults
        };
        map.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.option(key).and_then(ag_pyvalue::opt_str)
    }

    fn int(&self, key: &str) -> Option<i64> {
        self.option(key).and_then(opt_int)
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.option(key)
            .and_then(opt_float)
            .filter(|value| value.is_finite())
    }

    fn count(&self) -> u32 {
        let count = self.int("count").or_else(|| self.int("n")).unwrap_or(1);
        u32::try_from(count.clamp(1, MAX_COUNT)).unwrap_or(1)
    }

    /// All options but those that the request has fields for.
    fn options(&self, fields: &[&str]) -> Object {
        let mut options = self.target.defaults.clone();
        options.extend(self.spec.options.clone());
        options.retain(|key, value| !value.is_null() && !fields.contains(&key.as_str()));
        options
    }

    /// A server's report with what it is about.
    fn reported(&self, mut report: Object) -> Object {
        report
            .entry("task")
            .or_insert_with(|| self.spec.task_name.as_str().into());
        report
            .entry("provider")
            .or_insert_with(|| self.target.provider.as_str().into());
        if let Some(model) = self.model() {
            report.entry("model").or_insert_with(|| model.into());
        }
        report
    }
}

fn shown(error: ProviderError) -> String {
    error.to_string()
}
