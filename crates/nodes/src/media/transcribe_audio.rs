//! `transcribe_audio`: the text of a recording.

use super::{request::MediaRequest, result};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "transcribe_audio",
        title: "Transcribe Audio",
        family: "media",
        doc: "Turns recorded speech into text.",
        inputs: &[
            pin("audio_artifact", "artifact_audio"),
            pin("stt_provider", "provider_voice"),
            pin("language", "string"),
            pin("stt_model", "model"),
            pin("prompt", "string"),
            pin("format", "string"),
            pin("temperature", "number"),
        ],
        outputs: &[
            pin("text", "string"),
            pin("transcript_artifact", "artifact_text"),
            pin("artifact_ref", "artifact"),
            pin("artifact_id", "string"),
            pin("meta", "object"),
            pin("success", "boolean"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    Ok(MediaRequest::new(inputs, "text", "transcription", None)
        .texts(&["language", "prompt", "response_format", "format"])
        .float("temperature", &["temperature"])
        .provider("stt")
        .source_audio()
        .planned(&["prompt"], "Transcribe this audio."))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let text = raw
        .get("text")
        .and_then(|text| text.get("content"))
        .or_else(|| raw.get("content"));
    let mut outputs = Object::new();
    outputs.insert("text".to_owned(), text.cloned().unwrap_or_default());
    let found = result::artifact(raw);
    let artifact = found.map(|found| found.reference).unwrap_or_default();
    outputs.insert("artifact_id".to_owned(), crate::artifact::id(&artifact).into());
    outputs.insert("transcript_artifact".to_owned(), artifact.clone());
    outputs.insert("artifact_ref".to_owned(), artifact);
    outputs.insert("success".to_owned(), true.into());
    // The result names the run's own model, which did not listen.
    let mut meta = result::meta(&Value::Null, node, "text");
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("task".to_owned(), "transcription".into());
    }
    outputs.insert("meta".to_owned(), meta);
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
