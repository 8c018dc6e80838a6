//! `generate_image`: an image from a text.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "generate_image",
        title: "Generate Image",
        family: "media",
        doc: "Generates images from a text.",
        inputs: &[
            pin("prompt", "string"),
            pin("image_provider", "provider_image"),
            pin("image_model", "model"),
            pin("width", "number"),
            pin("height", "number"),
            pin("format", "string"),
            pin("seed", "number"),
            pin("steps", "number"),
            pin("guidance_scale", "number"),
            pin("guidance_2", "number"),
            pin("count", "number"),
            pin("seeds", "array"),
            pin("lora_adapters", "array"),
            pin("negative_prompt", "string"),
        ],
        outputs: &[
            pin("image_artifact", "artifact_image"),
            pin("image_artifacts", "artifacts_image"),
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
    Ok(
        MediaRequest::new(inputs, "image", "image_generation", Some("png"))
            .image_options()
            .planned(&["prompt"], ""),
    )
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "image", &["image_artifact"])
}
