//! `image_upscale`: alias of `upscale_image`.

use super::upscale_image;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "image_upscale",
        title: "Image Upscale",
        family: "media",
        doc: "Enlarges or restores an image (alias of Restore / Upscale Image).",
        ..upscale_image::NODE.spec
    },
    behaviour: upscale_image::NODE.behaviour,
};
