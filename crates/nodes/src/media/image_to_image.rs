//! `image_to_image`: the older name of `edit_image`.

use super::edit_image;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "image_to_image",
        title: "Image To Image",
        family: "media",
        doc: "Makes an image from an image and a text (older name of Edit Image).",
        inputs: &[
            pin("prompt", "string"),
            pin("source_image", "artifact_image"),
            pin("image_provider", "provider_image"),
            pin("image_model", "model"),
            pin("strength", "number"),
            pin("format", "string"),
            pin("seed", "number"),
            pin("steps", "number"),
            pin("guidance_scale", "number"),
            pin("guidance_2", "number"),
            pin("count", "number"),
            pin("seeds", "array"),
            pin("lora_adapters", "array"),
        ],
        ..edit_image::NODE.spec
    },
    behaviour: edit_image::NODE.behaviour,
};
