//! `upscale_image`: a larger or cleaner image.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "upscale_image",
        title: "Restore / Upscale Image",
        family: "media",
        doc: "Enlarges or restores an image.",
        inputs: &[
            pin("image_artifact", "artifact_image"),
            pin("image_provider", "provider_image"),
            pin("image_model", "model"),
            pin("scale", "string"),
            pin("resolution", "string"),
            pin("softness", "number"),
            pin("seed", "number"),
            pin("quantize", "number"),
            pin("vae_tiling", "boolean"),
            pin("format", "string"),
            pin("extra", "object"),
        ],
        outputs: &[
            pin("image_artifact", "artifact_image"),
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
    Ok(MediaRequest::new(inputs, "image", "image_upscale", Some("png"))
        .texts(&["scale", "output_format"])
        .resolution()
        .integers(&["seed", "quantize"])
        .float("softness", &["softness"])
        .flags(&["vae_tiling"])
        .extra()
        .provider("image")
        .source_image()
        .planned(&["prompt", "text"], ""))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "image", &["image_artifact"])
}
