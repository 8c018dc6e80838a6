//! What is to be made.

use ag_types::Object;
use serde_json::{Value, json};

use crate::llm_call::text_of;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A picture from a text.
    Image,
    /// A picture from a picture and a text.
    ImageEdit,
    /// A larger or cleaner picture.
    ImageUpscale,
    /// A video from a text.
    TextToVideo,
    /// A video from a picture.
    ImageToVideo,
    /// A spoken text.
    Speech,
    /// Music.
    Music,
    /// Another sound.
    Sound,
    /// The text of a recording.
    Transcription,
}

impl Task {
    /// By the names clients use; either may be missing.
    fn of(modality: &str, task: &str) -> Option<Self> {
        let task = task.replace(['-', ' '], "_");
        let by_task = match task.as_str() {
            "image_generation" | "text_to_image" | "generate_image" => Self::Image,
            "image_edit" | "image_to_image" | "edit_image" => Self::ImageEdit,
            "image_upscale" | "upscale_image" | "upscale" => Self::ImageUpscale,
            "text_to_video" | "video_generation" | "generate_video" => Self::TextToVideo,
            "image_to_video" => Self::ImageToVideo,
            "tts" | "text_to_speech" | "speech" => Self::Speech,
            "music_generation" | "text_to_music" | "lyrics_to_music" => Self::Music,
            "text_to_audio" | "sound_generation" => Self::Sound,
            "transcription" | "stt" | "speech_to_text" | "transcribe" => Self::Transcription,
            _ => match modality {
                "image" => Self::Image,
                "video" => Self::TextToVideo,
                "voice" | "speech" => Self::Speech,
                "music" => Self::Music,
                "sound" | "audio" => Self::Sound,
                _ => return None,
            },
        };
        Some(by_task)
    }

    /// Key of the outputs in a result, and tag of artifacts.
    pub(super) fn modality(self) -> &'static str {
        match self {
            Self::Image | Self::ImageEdit | Self::ImageUpscale => "image",
            Self::TextToVideo | Self::ImageToVideo => "video",
            Self::Speech => "voice",
            Self::Music => "music",
            Self::Sound => "sound",
            Self::Transcription => "text",
        }
    }

    /// Name where the specification gives none.
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image_generation",
            Self::ImageEdit => "image_edit",
            Self::ImageUpscale => "image_upscale",
            Self::TextToVideo => "text_to_video",
            Self::ImageToVideo => "image_to_video",
            Self::Speech => "tts",
            Self::Music => "music_generation",
            Self::Sound => "text_to_audio",
            Self::Transcription => "transcription",
        }
    }

    /// Format where the specification gives none.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Image | Self::ImageEdit | Self::ImageUpscale => "png",
            Self::TextToVideo | Self::ImageToVideo => "mp4",
            Self::Speech | Self::Music | Self::Sound => "wav",
            Self::Transcription => "json",
        }
    }

    /// Defaults that name a model for it, the most special first.
    pub(super) fn routes(self) -> &'static [&'static str] {
        match self {
            Self::Image => &["output.image.text_to_image", "output.image"],
            Self::ImageEdit => &["output.image.image_to_image", "output.image"],
            Self::ImageUpscale => &["output.image.image_upscale", "output.image"],
            Self::TextToVideo => &["output.video.text_to_video", "output.video"],
            Self::ImageToVideo => &["output.video.image_to_video", "output.video"],
            Self::Speech => &["output.voice"],
            Self::Music => &["output.music"],
            Self::Sound => &["output.sound"],
            Self::Transcription => &["input.voice"],
        }
    }
}

/// One thing to make.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) task: Task,
    /// As asked for; what records show.
    pub(super) task_name: String,
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    /// Run that the artifact belongs to, where it is not the one that makes it.
    pub(super) run_id: Option<String>,
    /// Further tags of the artifact.
    pub(super) tags: Object,
    /// Everything else.
    pub(super) options: Object,
}

/// Members that are no options.
const KNOWN: [&str; 7] = [
    "modality", "task", "provider", "model", "run_id", "tags", "base_url",
];

impl Spec {
    fn parse(value: &Value) -> Option<Self> {
        let named = |name: &str| [("modality".to_owned(), json!(name))].into_iter().collect();
        let map: Object = match value {
            Value::String(modality) => named(modality),
            Value::Object(map) => map.clone(),
            _ => return None,
        };
        let lower = |key: &str| text_of(&map, key).unwrap_or_default().to_lowercase();
        let task = Task::of(&lower("modality"), &lower("task"))?;
        Some(Self {
            task,
            task_name: text_of(&map, "task").unwrap_or_else(|| task.name().to_owned()),
            provider: text_of(&map, "provider"),
            model: text_of(&map, "model"),
            run_id: text_of(&map, "run_id"),
            tags: map
                .get("tags")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            options: map
                .into_iter()
                .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
                .collect(),
        })
    }

    /// A format in lower case.
    pub(super) fn format(&self) -> String {
        let format = text_of(&self.options, "format").or_else(|| text_of(&self.options, "output_format"));
        let format = format.map(|format| format.trim_start_matches('.').to_lowercase());
        format.unwrap_or_else(|| self.task.format().to_owned())
    }
}

/// The things a payload asks for, and whether ordinary text is among them.
pub(super) fn all(payload: &Object) -> (Vec<Spec>, bool) {
    let params = payload.get("params").and_then(Value::as_object);
    let given = ["output", "outputs"]
        .iter()
        .find_map(|key| payload.get(*key).filter(|value| ag_pyvalue::truthy(value)))
        .or_else(|| params?.get("output").filter(|value| ag_pyvalue::truthy(value)));
    let list = match given {
        None => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    let specs: Vec<Spec> = list.iter().filter_map(Spec::parse).collect();
    let text = specs.len() < list.len();
    (specs, text)
}
