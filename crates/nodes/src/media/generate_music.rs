//! `generate_music`: music from a text.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "generate_music",
        title: "Generate Music",
        family: "media",
        doc: "Generates music from a text, with lyrics and a plan if wanted.",
        inputs: &[
            pin("prompt", "string"),
            pin("music_provider", "provider_music"),
            pin("music_model", "model"),
            pin("lyrics", "string"),
            pin("duration_s", "number"),
            pin("format", "string"),
            pin("seed", "number"),
            pin("num_inference_steps", "number"),
            pin("guidance_scale", "number"),
            pin("instrumental", "boolean"),
            pin("enhance_prompt", "boolean"),
            pin("structure_prompt", "boolean"),
            pin("auto_lyrics", "boolean"),
            pin("text_planner_mode", "string"),
            pin("vocal_language", "string"),
            pin("negative_prompt", "string"),
            pin("sample_rate", "number"),
            pin("bpm", "number"),
            pin("keyscale", "string"),
            pin("timesignature", "string"),
            pin("composition_plan", "object"),
            pin("positive_styles", "array"),
            pin("negative_styles", "array"),
            pin("planning", "boolean"),
            pin("extra", "object"),
        ],
        outputs: &[
            pin("music_artifact", "artifact_audio"),
            pin("audio_artifact", "artifact_audio"),
            pin("artifact_ref", "artifact"),
            pin("artifact_id", "string"),
            pin("content_type", "string"),
            pin("outputs", "object"),
            pin("meta", "object"),
            pin("success", "boolean"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    if first(inputs, &["music_backend", "musicBackend"]).is_some() {
        let text =
            "generate_music uses `music_provider` as the backend selector; `music_backend` is not supported.";
        return Err(Exception::value(text).into());
    }
    Ok(
        MediaRequest::new(inputs, "music", "music_generation", Some("wav"))
            .texts(&["lyrics"])
            .float("duration_s", &["duration_s"])
            .integers(&["seed", "num_inference_steps"])
            .float("guidance_scale", &["guidance_scale", "guidanceScale"])
            .flags(&[
                "instrumental",
                "enhance_prompt",
                "structure_prompt",
                "auto_lyrics",
            ])
            .texts(&["text_planner_mode", "vocal_language", "negative_prompt"])
            .integers(&["sample_rate", "bpm"])
            .texts(&["keyscale", "timesignature"])
            .filled(&["composition_plan", "positive_styles", "negative_styles"])
            .flags(&["planning"])
            .extra()
            .provider("music")
            .planned(&["prompt", "text"], ""),
    )
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "music", &["music_artifact", "audio_artifact"])
}
