//! `edit_image`: an image changed as a text says.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "edit_image",
        title: "Edit Image",
        family: "media",
        doc: "Changes an image as a text says, optionally inside a mask.",
        inputs: &[
            pin("prompt", "string"),
            pin("image_artifact", "artifact_image"),
            pin("mask_artifact", "artifact_image"),
            pin("image_provider", "provider_image"),
            pin("image_model", "model"),
            pin("format", "string"),
            pin("seed", "number"),
            pin("steps", "number"),
            pin("guidance_scale", "number"),
            pin("guidance_2", "number"),
            pin("count", "number"),
            pin("seeds", "array"),
            pin("lora_adapters", "array"),
            pin("strength", "number"),
            pin("negative_prompt", "string"),
            pin("extra", "object"),
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
    Ok(MediaRequest::new(inputs, "image", "image_edit", Some("png"))
        .image_options()
        .float("strength", &["strength"])
        .source_image()
        .mask()
        .planned(&["prompt", "text"], ""))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "image", &["image_artifact"])
}
