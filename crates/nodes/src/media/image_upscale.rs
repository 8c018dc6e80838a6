//! `image_upscale`: alias of `upscale_image`.

use super::upscale_image::{outputs, plan};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "image_upscale",
        title: "Image Upscale",
        family: "media",
        doc: "Enlarges or restores an image (alias of Restore / Upscale Image).",
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
