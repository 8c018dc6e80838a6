//! `generate_video`: a video from a text.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "generate_video",
        title: "Generate Video",
        family: "media",
        doc: "Generates a video from a text.",
        inputs: &[
            pin("prompt", "string"),
            pin("video_provider", "provider_video"),
            pin("video_model", "model"),
            pin("width", "number"),
            pin("height", "number"),
            pin("frames", "number"),
            pin("fps", "number"),
            pin("format", "string"),
            pin("seed", "number"),
            pin("steps", "number"),
            pin("guidance_scale", "number"),
            pin("guidance_2", "number"),
            pin("count", "number"),
            pin("seeds", "array"),
            pin("flow_shift", "number"),
            pin("lora_adapters", "array"),
            pin("negative_prompt", "string"),
            pin("extra", "object"),
        ],
        outputs: &[
            pin("video_artifact", "artifact_video"),
            pin("video_artifacts", "artifacts_video"),
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
    Ok(MediaRequest::new(inputs, "video", "text_to_video", Some("mp4"))
        .video_options()
        .planned(&["prompt"], ""))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "video", &["video_artifact"])
}
