//! `text_to_video`: the older name of `generate_video`.

use super::generate_video;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "text_to_video",
        title: "Text To Video",
        family: "media",
        doc: "Generates a video from a text (older name of Generate Video).",
        inputs: &[
            pin("prompt", "string"),
            pin("video_provider", "provider_video"),
            pin("video_model", "model"),
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
        ],
        ..generate_video::NODE.spec
    },
    behaviour: generate_video::NODE.behaviour,
};
