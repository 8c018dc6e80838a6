//! `listen_voice`: waits for a person to speak.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "listen_voice",
        title: "Listen Voice",
        family: "media",
        doc: "Waits for a recording of a person.",
        inputs: &[
            pin("prompt", "string"),
            pin("language", "string"),
            pin("stt_provider", "provider_voice"),
            pin("stt_model", "model"),
            pin("max_duration_s", "number"),
            pin("wait_key", "string"),
        ],
        outputs: &[
            pin("audio_artifact", "artifact_audio"),
            pin("artifact_ref", "artifact"),
            pin("artifact_id", "string"),
            pin("text", "string"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let text = |names: &[&str], default: &str| {
        first(inputs, names)
            .and_then(opt_str)
            .unwrap_or_else(|| default.to_owned())
    };
    let mut details = Object::new();
    details.insert("input_mode".to_owned(), "voice".into());
    details.insert(
        "content_types".to_owned(),
        json!(["audio/wav", "audio/mpeg", "audio/webm"]),
    );
    let sources: [(&str, &[&str]); 3] = [
        ("language", &["language"]),
        ("provider", &["stt_provider", "provider"]),
        ("model", &["stt_model", "model"]),
    ];
    for (key, names) in sources {
        details.extend(
            first(inputs, names)
                .and_then(opt_str)
                .map(|text| (key.to_owned(), text.into())),
        );
    }
    let longest = first(inputs, &["max_duration_s"])
        .and_then(opt_float)
        .filter(|seconds| seconds.is_finite());
    details.extend(longest.map(|seconds| ("max_duration_s".to_owned(), seconds.into())));
    let mut payload = payload(EffectKind::WaitEvent);
    payload.insert("wait_key".to_owned(), text(&["wait_key"], "voice_input").into());
    payload.insert("prompt".to_owned(), text(&["prompt"], "Speak now.").into());
    payload.insert("allow_free_text".to_owned(), true.into());
    payload.insert("details".to_owned(), Value::Object(details));
    Ok(effect(EffectKind::WaitEvent, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let mut outputs = passthrough(raw);
    let artifact = ["audio_artifact", "artifact", "artifact_ref"]
        .iter()
        .find_map(|key| raw.get(*key).filter(|value| !value.is_null()))
        .cloned()
        .unwrap_or_default();
    let id = raw
        .get("artifact_id")
        .and_then(opt_str)
        .or_else(|| crate::artifact::id(&artifact));
    outputs.insert("artifact_id".to_owned(), id.into());
    outputs.insert("audio_artifact".to_owned(), artifact);
    outputs
}
