//! `generate_voice`: speech from a text.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "generate_voice",
        title: "Generate Voice",
        family: "media",
        doc: "Speaks a text.",
        inputs: &[
            pin("text", "string"),
            pin("tts_provider", "provider_voice"),
            pin("tts_model", "model"),
            pin("voice", "string"),
            pin("profile", "string"),
            pin("quality_preset", "string"),
            pin("format", "string"),
            pin("speed", "number"),
            pin("instructions", "string"),
        ],
        outputs: &[
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
    Ok(MediaRequest::new(inputs, "voice", "tts", Some("wav"))
        .texts(&["voice", "profile", "instructions", "quality_preset"])
        .float("speed", &["speed"])
        .provider("tts")
        .planned(&["text", "prompt"], ""))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    result::generated(raw, node, "voice", &["audio_artifact"])
}
