//! Results with media as the ledger records them.

use serde_json::{Value, json};

use super::{Made, Wanted};
use crate::llm_call::input::Input;
use crate::llm_call::media;

/// The result of a call that made media and asked no model for text.
pub(super) fn alone(
    input: &Input<'_>,
    wanted: &Wanted,
    made: &Made,
    (runtime_provider, runtime_model): (Option<String>, Option<String>),
) -> Value {
    let (provider, model) = made.source.clone().unwrap_or_default();
    let transcript = made.transcript.as_deref();
    // A transcript is shown as an answer of the run's own model (recorded).
    let shown_model = match transcript {
        Some(_) if made.source.is_none() => runtime_model.clone(),
        _ => model.clone(),
    };
    let text = transcript.map(|text| {
        json!({
            "content": text, "reasoning": null, "data": null, "raw_response": null, "tool_calls": null,
            "usage": null, "model": runtime_model, "finish_reason": null,
            "metadata": {"task": transcription_name(wanted), "modality": "text"}, "trace_id": null, "gen_time": null,
        })
    });
    let items = media::items(input, &[]);
    let kwargs = json!({
        "prompt": input.prompt().unwrap_or_default(),
        "media": items.iter().map(media::Item::reference).collect::<Vec<_>>(),
        "params": {"output": input.payload().get("output").or_else(|| input.payload().get("outputs"))},
    });
    json!({
        "content": transcript,
        "reasoning": null,
        "data": null,
        "text": text,
        "outputs": made.outputs,
        "resources": {},
        "warnings": [],
        "errors": [],
        "usage": null,
        "provider": provider,
        "model": shown_model,
        "runtime_provider": runtime_provider,
        "runtime_model": runtime_model,
        "media_provider": provider,
        "media_model": model,
        "finish_reason": null,
        "metadata": {
            "media_only": true,
            "runtime_provider": runtime_provider,
            "runtime_model": runtime_model,
            "_runtime_observability": {"llm_generate_kwargs": kwargs},
        },
        "trace_id": null,
        "gen_time": null,
        "tool_calls": [],
    })
}

fn transcription_name(wanted: &Wanted) -> &str {
    let spec = wanted
        .specs
        .iter()
        .find(|spec| spec.task == super::Task::Transcription);
    spec.map_or("transcription", |spec| spec.task_name.as_str())
}

/// Puts media beside the answer of a model.
pub(super) fn beside(value: &mut Value, made: &Made) {
    let Some(map) = value.as_object_mut() else { return };
    let (provider, model) = made.source.clone().unwrap_or_default();
    let members = [
        ("outputs", Value::Object(made.outputs.clone())),
        ("resources", json!({})),
        ("warnings", json!([])),
        ("errors", json!([])),
        ("media_provider", json!(provider)),
        ("media_model", json!(model)),
    ];
    map.extend(members.map(|(key, value)| (key.to_owned(), value)));
}
