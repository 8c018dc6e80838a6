//! Pictures and recordings to work on.

use ag_outbound::OutboundClient;
use ag_providers::media::MediaFile;
use serde_json::Value;

use super::spec::Task;
use crate::llm_call::input::Input;
use crate::llm_call::media::{self, Limits};
use crate::llm_call::text_of;
use crate::{EffectCtx, Failure};

/// The attachments of a call, loaded.
#[derive(Default)]
pub(super) struct Sources {
    pictures: Vec<MediaFile>,
    mask: Option<MediaFile>,
    recordings: Vec<MediaFile>,
}

impl Sources {
    /// Loads all of them; one that is missing fails the call.
    pub(super) async fn load(
        ctx: &EffectCtx<'_>,
        input: &Input<'_>,
        limits: Limits,
        http: Option<&OutboundClient>,
    ) -> Result<Self, Failure> {
        let list = match input.payload().get("media") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(single) => std::slice::from_ref(single),
        };
        let mut sources = Self::default();
        for value in list {
            let Some(file) = media::file_of(ctx, value, &limits, http).await? else {
                continue;
            };
            let kind = text_in(value, "type").unwrap_or_default();
            if file.content_type.starts_with("audio/") || kind == "audio" {
                sources.recordings.push(file);
            } else if is_mask(value) {
                sources.mask = Some(file);
            } else {
                sources.pictures.push(file);
            }
        }
        Ok(sources)
    }

    /// # Errors
    /// The contract's text for a task without its source.
    pub(super) fn check(&self, task: Task) -> Result<(), String> {
        let pictures = self.pictures.len();
        match task {
            Task::ImageEdit if pictures == 0 => Err("Image edit requires one source image.".to_owned()),
            Task::ImageUpscale if pictures != 1 => Err("Image upscale requires one source image.".to_owned()),
            Task::ImageToVideo if pictures != 1 => {
                Err("Image-to-video requires one source image.".to_owned())
            }
            Task::Transcription if self.recording().is_none() => {
                Err("Transcription requires exactly one audio media item in v1.".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn pictures(&self) -> &[MediaFile] {
        &self.pictures
    }

    pub(super) fn mask(&self) -> Option<&MediaFile> {
        self.mask.as_ref()
    }

    /// The one recording. Browsers send some under the types of videos.
    pub(super) fn recording(&self) -> Option<&MediaFile> {
        match (self.recordings.as_slice(), self.pictures.as_slice()) {
            ([one], _) => Some(one),
            ([], [one]) if !one.content_type.starts_with("image/") => Some(one),
            _ => None,
        }
    }
}

fn is_mask(value: &Value) -> bool {
    ["role", "purpose", "kind"]
        .iter()
        .filter_map(|key| text_in(value, key))
        .any(|text| {
            ["mask", "inpaint"]
                .iter()
                .any(|word| text.to_lowercase().contains(word))
        })
}

fn text_in(value: &Value, key: &str) -> Option<String> {
    value.as_object().and_then(|map| text_of(map, key))
}
