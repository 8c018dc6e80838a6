//! Speech and transcripts (media contract §2, §3).

use ag_artifacts::{ArtifactMeta, BlobId, NewArtifact, Tags};
use ag_effects::artifacts::{blob_scope, store_artifact};
use ag_types::Object;
use axum::Json;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    call::{Addressed, Call, Done, addressed, detached, perform, request_id},
    images::add_route,
    options::Options,
    source,
};
use crate::{
    ApiError, ApiResult, CallContext, Input, Request,
    input::{BodyRule, Reader, float, object, string},
};

/// Lengths that the contract does not limit.
const ANY_LENGTH: usize = usize::MAX;

/// A text to speak.
pub(super) struct SpeakText {
    run_id: String,
    text: String,
    provider: Option<String>,
    model: Option<String>,
    format: String,
    quality: Option<String>,
    options: Object,
    request_id: Option<String>,
}

impl Request for SpeakText {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        Self {
            run_id,
            text: body.required("text", string()),
            provider: body.optional("provider", string()),
            model: body.optional("model", string()),
            format: body.or("format", string(), "wav".to_owned()),
            quality: body.optional("quality", string()),
            request_id: body.optional("request_id", string()),
            options: Options::of(&mut body)
                .text("voice", ANY_LENGTH)
                .text("profile", ANY_LENGTH)
                .float("speed")
                .text("quality_preset", ANY_LENGTH)
                .text("instructions", ANY_LENGTH)
                .done(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Spoken {
    ok: bool,
    run_id: String,
    request_id: String,
    child_run_id: String,
    audio_artifact: Value,
}

pub(super) async fn speak_text(ctx: CallContext, Input(asked): Input<SpeakText>) -> ApiResult<Json<Spoken>> {
    let text = asked.text.trim().to_owned();
    if text.is_empty() {
        return Err(ApiError::bad_request("text is required"));
    }
    let at = addressed(&ctx, &asked.run_id).await?;
    let request_id = request_id(&ctx, asked.request_id);
    let format = asked.format.trim().trim_start_matches('.').to_ascii_lowercase();
    let format = if format.is_empty() {
        "wav".to_owned()
    } else {
        format
    };
    let mut output = Object::new();
    output.insert("modality".to_owned(), "voice".into());
    output.insert("task".to_owned(), "tts".into());
    output.insert("format".to_owned(), format.as_str().into());
    output.extend(asked.options);
    if let Some(quality) = asked.quality.filter(|quality| !quality.trim().is_empty()) {
        output
            .entry("quality_preset")
            .or_insert_with(|| quality.trim().into());
    }
    add_route(&mut output, asked.provider, asked.model);
    let call = Call {
        task: "tts",
        label: "TTS",
        words: Some(("text", text)),
        media: None,
        output,
        text_model: (None, None),
    };
    let work = {
        let ctx = ctx.clone();
        async move {
            let done = perform(&ctx, &at, &request_id, call).await?;
            let made = project(&ctx, &at, &done, &request_id).await?;
            Ok(Json(Spoken {
                ok: true,
                run_id: at.owner.id,
                request_id,
                child_run_id: done.child_run_id.to_string(),
                audio_artifact: json!({
                    "$artifact": made.artifact_id,
                    "content_type": made.content_type,
                    "filename": format!("tts.{format}"),
                    "size_bytes": made.size_bytes,
                    "sha256": made.blob_id,
                }),
            }))
        }
    };
    detached(&ctx, work).await
}

/// Stores the child's recording once more for the addressed run, so that its own artifacts show it.
async fn project(
    ctx: &CallContext,
    at: &Addressed,
    done: &Done,
    request_id: &str,
) -> ApiResult<ArtifactMeta> {
    const SOURCE: &str = "gateway_direct_tts";
    let nothing = || {
        let text = "TTS failed: the call finished without an artifact";
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, text)
    };
    let id = done
        .result
        .pointer("/outputs/voice/0/artifact_id")
        .and_then(Value::as_str);
    let id = id.ok_or_else(nothing)?;
    let row = ctx.store().artifact(ctx.scope(), id).await?.ok_or_else(nothing)?;
    let meta: ArtifactMeta =
        serde_json::from_str(&row.meta).map_err(|error| ApiError::internal("stored artifact", &error))?;
    let blob = BlobId::parse(&meta.blob_id).ok_or_else(nothing)?;
    let content = ctx.blobs().get(&blob_scope(ctx.scope()), &blob).await;
    let content = content
        .map_err(|error| ApiError::internal("reading an artifact", &error))?
        .ok_or_else(nothing)?;
    let mut tags = meta.tags.clone();
    for (name, value) in [
        ("source", SOURCE),
        ("request_id", request_id),
        ("projected_from_artifact_id", &meta.artifact_id),
        ("projected_from_run_id", &done.child_run_id.to_string()),
    ] {
        tags.insert(name.to_owned(), value.to_owned());
    }
    let descriptor = json!({
        "classification_source": meta.descriptor.classification_source,
        "producer": meta.descriptor.producer,
        "generation": meta.descriptor.generation,
        "security": meta.descriptor.security,
        "provenance": {
            "run_id": done.child_run_id.to_string(), "source": SOURCE, "request_id": request_id,
            "projected_from_artifact_id": meta.artifact_id,
            "projected_from_run_id": done.child_run_id.to_string(), "projection_source": SOURCE,
        },
    });
    let new = NewArtifact {
        run_id: Some(at.owner.id.clone()),
        content_type: meta.content_type,
        tags,
        descriptor: descriptor.as_object().cloned(),
        ..NewArtifact::default()
    };
    keep(ctx, new, content).await
}

async fn keep(ctx: &CallContext, new: NewArtifact, content: Bytes) -> ApiResult<ArtifactMeta> {
    let stored = store_artifact(&**ctx.blobs(), ctx.scope(), new, content, ctx.now()).await;
    let (meta, row) = stored.map_err(|error| ApiError::internal("storing an artifact", &error))?;
    ctx.store().put_artifact(ctx.scope(), row).await?;
    Ok(meta)
}

/// A recording to write down.
pub(super) struct TranscribeAudio {
    run_id: String,
    audio: Object,
    provider: Option<String>,
    model: Option<String>,
    options: Object,
    request_id: Option<String>,
}

impl Request for TranscribeAudio {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        let audio = body.required("audio_artifact", object());
        let mut options = Options::of(&mut body)
            .text("language", ANY_LENGTH)
            .text("prompt", 20_000)
            .text("response_format", 64)
            .text("format", 32)
            .done();
        let temperature = body.optional("temperature", float());
        options.extend(temperature.map(|value| ("temperature".to_owned(), value.into())));
        Self {
            run_id,
            audio,
            provider: body.optional("provider", string()),
            model: body.optional("model", string()),
            options,
            request_id: body.optional("request_id", string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Transcribed {
    ok: bool,
    run_id: String,
    request_id: String,
    child_run_id: String,
    text: String,
    transcript_artifact: Value,
}

pub(super) async fn transcribe_audio(
    ctx: CallContext,
    Input(asked): Input<TranscribeAudio>,
) -> ApiResult<Json<Transcribed>> {
    let at = addressed(&ctx, &asked.run_id).await?;
    let meta = source::find(&ctx, &at.owner, "audio_artifact", &asked.audio, "audio").await?;
    let request_id = request_id(&ctx, asked.request_id);
    let language = asked.options.get("language").cloned();
    let mut output = Object::new();
    output.insert("modality".to_owned(), "text".into());
    output.insert("task".to_owned(), "transcription".into());
    output.extend(asked.options);
    add_route(&mut output, asked.provider, asked.model);
    let call = Call {
        task: "transcription",
        label: "STT",
        words: None,
        media: Some(json!({
            "$artifact": meta.artifact_id,
            "type": "audio",
            "content_type": meta.content_type,
            "filename": meta.filename(),
            "size_bytes": meta.size_bytes,
            "sha256": meta.blob_id,
        })),
        output,
        text_model: (None, None),
    };
    let work = {
        let ctx = ctx.clone();
        async move {
            let done = perform(&ctx, &at, &request_id, call).await?;
            let text = words(&ctx, &done).await?;
            let stored = transcript(&ctx, &at, &request_id, &meta.artifact_id, language, &text).await?;
            Ok(Json(Transcribed {
                ok: true,
                run_id: at.owner.id,
                request_id,
                child_run_id: done.child_run_id.to_string(),
                text,
                transcript_artifact: json!({
                    "$artifact": stored.artifact_id,
                    "content_type": stored.content_type,
                    "filename": "transcript.txt",
                    "sha256": stored.blob_id,
                    "size_bytes": stored.size_bytes,
                }),
            }))
        }
    };
    detached(&ctx, work).await
}

/// The words of the result; a long text may have been taken out of the run's output.
async fn words(ctx: &CallContext, done: &Done) -> ApiResult<String> {
    let content = done.result.get("content");
    if let Some(Value::String(text)) = content {
        return Ok(text.clone());
    }
    let Some(id) = content
        .and_then(|content| content.get("$artifact"))
        .and_then(Value::as_str)
    else {
        return Ok(String::new());
    };
    let missing = || ApiError::internal("a transcript", &"its text is missing");
    let row = ctx.store().artifact(ctx.scope(), id).await?.ok_or_else(missing)?;
    let blob = BlobId::parse(&row.blob_id).ok_or_else(missing)?;
    let content = ctx.blobs().get(&blob_scope(ctx.scope()), &blob).await;
    let content = content
        .map_err(|error| ApiError::internal("reading an artifact", &error))?
        .ok_or_else(missing)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

async fn transcript(
    ctx: &CallContext,
    at: &Addressed,
    request_id: &str,
    audio: &str,
    language: Option<Value>,
    text: &str,
) -> ApiResult<ArtifactMeta> {
    let content = Bytes::copy_from_slice(text.as_bytes());
    let sha256 = BlobId::of(&content).to_string();
    let mut tags: Tags = [
        ("kind", "derived_text"),
        ("modality", "audio"),
        ("task", "stt"),
        ("request_id", request_id),
        ("source_audio_artifact", audio),
        ("sha256", &sha256),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect();
    if let Some(session) = &at.owner.session_id {
        tags.insert("session_id".to_owned(), session.clone());
    }
    let descriptor = json!({
        "classification_source": "producer",
        "semantic_kind": "transcript",
        "producer": {"capability_route": "audio.transcribe", "package": "abstractgateway"},
        "generation": language.map_or_else(|| json!({}), |language| json!({"language": language})),
        "provenance": {
            "run_id": at.owner.id, "source": "gateway_direct_transcription", "request_id": request_id,
        },
    });
    let new = NewArtifact {
        run_id: Some(at.owner.id.clone()),
        content_type: "text/plain; charset=utf-8".to_owned(),
        tags,
        descriptor: descriptor.as_object().cloned(),
        ..NewArtifact::default()
    };
    keep(ctx, new, content).await
}
