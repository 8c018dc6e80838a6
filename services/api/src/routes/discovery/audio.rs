//! Voices, speech, transcription and music.

use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, given, object},
    media::{MUSIC, MediaKind, MediaQuery, SPEECH, Served, TRANSCRIPTION, served},
    remote::{Question, Remote},
};
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request, boolean, string},
    routes::models::ModelServices,
};

const UPSTREAM: &str = "abstractvoice.local";
const MUSIC_UPSTREAM: &str = "abstractmusic.local";

/// Voices of OpenAI's speech models.
const VOICES: [&str; 11] = [
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
];
/// Formats of OpenAI's speech models.
const FORMATS: [&str; 6] = ["mp3", "opus", "aac", "flac", "wav", "pcm"];

/// What speech requests may ask for.
fn controls() -> Value {
    json!({
        "speed": {"supported": true, "min": 0.5, "max": 2.0, "default": 1.0},
        "quality_preset": {"supported": false, "values": ["low", "standard", "high"], "default": "standard"},
        "instructions": {"supported": true},
        "profile": {"supported": false},
        "voice_clone": {"supported": false},
    })
}

/// Query of the voices.
pub(super) struct ListVoices {
    media: MediaQuery,
    model: Option<String>,
    compact: bool,
}

impl Request for ListVoices {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        Self {
            media: MediaQuery::read(&mut query),
            model: given(query.optional("model", string())),
            compact: query.or("compact", boolean(), false),
        }
    }
}

pub(super) async fn list_voices(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListVoices>,
) -> ApiResult<Json<Value>> {
    if let Some(answer) = voices_elsewhere(&ctx, &headers, &request).await {
        return Ok(answer);
    }
    let speech = served(&ctx, &headers, &SPEECH, &request.media).await?;
    let transcription = served(&ctx, &headers, &TRANSCRIPTION, &request.media).await?;
    let voices: Vec<Value> = speech
        .providers
        .iter()
        .flat_map(|(provider, models)| voices(provider, models, request.model.as_deref()))
        .collect();
    let all_of = |list: &[&str]| -> Value {
        speech
            .names()
            .into_iter()
            .map(|name| (name.to_owned(), json!(list)))
            .collect::<ag_types::Object>()
            .into()
    };
    let available = !speech.providers.is_empty();
    let mut providers: Vec<&str> = speech.names().into_iter().chain(transcription.names()).collect();
    providers.sort_unstable();
    providers.dedup();
    let mut raw = object(json!({
        "kind": "tts",
        "engine_id": speech.active_provider,
        "provider_id": speech.active_provider,
        "active_model": speech.active_model,
        "active_tts_provider": speech.active_provider,
        "active_stt_provider": transcription.active_provider,
        "providers": providers,
        "tts_providers": speech.names(),
        "stt_providers": transcription.names(),
        "models": speech.models(),
        "tts_models": speech.models(),
        "stt_models": transcription.models(),
        "tts_models_by_provider": speech.by_provider(),
        "stt_models_by_provider": transcription.by_provider(),
        "tts_model_roles_by_provider": {},
        "tts_voices_by_provider": all_of(&VOICES),
        "tts_profiles_by_provider": {},
        "tts_formats_by_provider": all_of(&FORMATS),
        "controls": controls(),
    }));
    if !request.compact {
        raw.extend(object(json!({
            "profiles": [],
            "voices": voices,
            "cloned_voices": [],
            "available_providers": speech.names(),
            "tts_catalog_by_provider": {},
            "stt_catalog_by_provider": {},
            "unavailable_providers": [],
            "speech_request_contract": "speech_request_v1",
        })));
    }
    let items = if request.media.providers_only {
        speech.items(true)
    } else {
        voices
    };
    let mut echo =
        object(json!({"providers_only": request.media.providers_only, "compact": request.compact}));
    if let Some(model) = request.model {
        echo.insert("model".to_owned(), model.into());
    }
    let catalog = Catalog {
        kind: if request.media.providers_only {
            "providers"
        } else {
            "voices"
        },
        scope: "tts",
        upstream: UPSTREAM,
        available,
        error: unserved(available, "text to speech"),
        provider: request.media.provider,
        raw,
        echo,
        items,
        ..Catalog::default()
    };
    Ok(Json(catalog.answer(ctx.now())))
}

/// What `compact` keeps of the service's fields.
const COMPACT: [&str; 21] = [
    "kind",
    "engine_id",
    "provider_id",
    "active_model",
    "active_tts_provider",
    "active_stt_provider",
    "providers",
    "tts_providers",
    "stt_providers",
    "models",
    "tts_models",
    "stt_models",
    "tts_models_by_provider",
    "stt_models_by_provider",
    "tts_model_roles_by_provider",
    "tts_voices_by_provider",
    "tts_profiles_by_provider",
    "tts_formats_by_provider",
    "controls",
    "status_code",
    "upstream_error",
];

async fn voices_elsewhere(
    ctx: &CallContext,
    headers: &HeaderMap,
    request: &ListVoices,
) -> Option<Json<Value>> {
    let services = ModelServices::of(ctx).ok()?;
    let remote = Remote::of(ctx, &services, headers)?;
    let media = &request.media;
    let mut question = media.question("v1/audio/voices", SPEECH.tasks);
    question.query.push(("model", request.model.clone()));
    let mut echo = object(json!({"providers_only": media.providers_only, "compact": request.compact}));
    if let Some(model) = &request.model {
        echo.insert("model".to_owned(), model.as_str().into());
    }
    let catalog = Catalog {
        kind: if media.providers_only {
            "providers"
        } else {
            "voices"
        },
        scope: "tts",
        provider: media.provider.clone(),
        raw: object(json!({"kind": "tts"})),
        echo,
        ..Catalog::default()
    };
    let keep: &[&str] = if request.compact { &COMPACT } else { &[] };
    Some(remote.catalogue(question, catalog, keep).await)
}

/// A list of models in split mode.
async fn models_elsewhere(
    ctx: &CallContext,
    headers: &HeaderMap,
    query: &MediaQuery,
    path: &str,
    kind: &MediaKind,
    scope: &'static str,
) -> Option<Json<Value>> {
    let services = ModelServices::of(ctx).ok()?;
    let remote = Remote::of(ctx, &services, headers)?;
    let catalog = Catalog {
        kind: query.kind(),
        scope,
        provider: query.provider.clone(),
        echo: object(json!({"providers_only": query.providers_only})),
        ..Catalog::default()
    };
    Some(
        remote
            .catalogue(query.question(path, kind.tasks), catalog, &[])
            .await,
    )
}

/// Voices of one provider; they work with each of its speech models.
fn voices(provider: &str, models: &[String], wanted: Option<&str>) -> Vec<Value> {
    let model = match wanted {
        Some(wanted) if !models.iter().any(|model| model.eq_ignore_ascii_case(wanted)) => return Vec::new(),
        Some(wanted) => Some(wanted),
        None => models.first().map(String::as_str),
    };
    let voice = |name: &str| {
        json!({
            "id": name, "label": name, "name": name, "provider": provider, "model": model,
            "voice_kind": "voice", "voice_kinds": ["voice"], "engine_id": provider, "profile_id": null,
            "voice_id": name, "params": {}, "tags": [], "language": null, "languages": [], "description": null,
        })
    };
    VOICES.iter().map(|name| voice(name)).collect()
}

/// Why a catalogue is empty.
fn unserved(available: bool, what: &str) -> Option<String> {
    (!available).then(|| format!("No configured provider serves {what}"))
}

/// Query of the model lists.
pub(super) struct ListAudioModels(MediaQuery);

impl Request for ListAudioModels {
    fn read(reader: &mut Reader) -> Self {
        Self(MediaQuery::read(&mut reader.query()))
    }
}

pub(super) async fn list_speech_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(ListAudioModels(query)): Input<ListAudioModels>,
) -> ApiResult<Json<Value>> {
    let path = "v1/audio/speech/models";
    if let Some(answer) = models_elsewhere(&ctx, &headers, &query, path, &SPEECH, "tts").await {
        return Ok(answer);
    }
    let speech = served(&ctx, &headers, &SPEECH, &query).await?;
    let mut raw = model_fields(&speech, "tts_models_by_provider");
    raw.insert("controls".to_owned(), controls());
    Ok(Json(
        models(speech, query, "tts", "text to speech", raw).answer(ctx.now()),
    ))
}

pub(super) async fn list_transcription_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(ListAudioModels(query)): Input<ListAudioModels>,
) -> ApiResult<Json<Value>> {
    let path = "v1/audio/transcriptions/models";
    if let Some(answer) = models_elsewhere(&ctx, &headers, &query, path, &TRANSCRIPTION, "stt").await {
        return Ok(answer);
    }
    let transcription = served(&ctx, &headers, &TRANSCRIPTION, &query).await?;
    let raw = model_fields(&transcription, "stt_models_by_provider");
    Ok(Json(
        models(transcription, query, "stt", "speech to text", raw).answer(ctx.now()),
    ))
}

fn model_fields(served: &Served, by_provider: &str) -> ag_types::Object {
    let mut raw = object(json!({
        "models": served.models(),
        "active_model": served.active_model,
        "providers": served.names(),
        "available_providers": served.names(),
        "active_provider": served.active_provider,
        "models_by_provider": served.by_provider(),
        "provider_models": served.pairs(),
    }));
    raw.insert(by_provider.to_owned(), served.by_provider().into());
    raw
}

fn models(
    served: Served,
    query: MediaQuery,
    scope: &'static str,
    what: &str,
    raw: ag_types::Object,
) -> Catalog {
    let available = !served.providers.is_empty();
    Catalog {
        kind: query.kind(),
        scope,
        upstream: UPSTREAM,
        available,
        error: unserved(available, what),
        provider: query.provider,
        raw,
        echo: object(json!({"providers_only": query.providers_only})),
        items: served.items(query.providers_only),
        ..Catalog::default()
    }
}

/// Query of the music catalogues.
pub(super) struct ListMusic {
    task: String,
    provider: Option<String>,
    base_url: Option<String>,
}

impl Request for ListMusic {
    fn read(reader: &mut Reader) -> Self {
        let mut query = reader.query();
        let task = given(query.optional("task", string()));
        Self {
            base_url: given(query.optional("base_url", string())),
            task: task.unwrap_or_else(|| "text_to_music".to_owned()),
            provider: given(query.optional("provider", string())),
        }
    }
}

pub(super) async fn list_music_providers(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListMusic>,
) -> ApiResult<Json<Value>> {
    let path = "v1/audio/music/providers";
    if let Some(answer) = music_elsewhere(&ctx, &headers, &request, path, "providers").await {
        return Ok(answer);
    }
    let found = served(&ctx, &headers, &MUSIC, &request.media()).await?;
    let raw = json!({
        "task": request.task, "providers": found.names(), "available_providers": found.names(),
        "provider_details": found.items(true),
    });
    Ok(Json(music("providers", request, &found, raw).answer(ctx.now())))
}

pub(super) async fn list_music_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(request): Input<ListMusic>,
) -> ApiResult<Json<Value>> {
    let path = "v1/audio/music/models";
    if let Some(answer) = music_elsewhere(&ctx, &headers, &request, path, "models").await {
        return Ok(answer);
    }
    let found = served(&ctx, &headers, &MUSIC, &request.media()).await?;
    let raw = json!({
        "task": request.task, "provider": request.provider, "models": found.models(), "providers": found.names(),
        "available_providers": found.names(), "models_by_provider": found.by_provider(),
        "provider_models": found.pairs(),
    });
    Ok(Json(music("models", request, &found, raw).answer(ctx.now())))
}

async fn music_elsewhere(
    ctx: &CallContext,
    headers: &HeaderMap,
    request: &ListMusic,
    path: &str,
    kind: &'static str,
) -> Option<Json<Value>> {
    let services = ModelServices::of(ctx).ok()?;
    let remote = Remote::of(ctx, &services, headers)?;
    let question = Question {
        path,
        query: vec![
            ("task", Some(request.task.clone())),
            ("provider", request.provider.clone()),
        ],
        base_url: request.base_url.clone(),
        tasks: &[&request.task],
    };
    let catalog = Catalog {
        kind,
        scope: "music",
        task: Some(request.task.clone()),
        provider: request.provider.clone(),
        raw: object(json!({"task": request.task})),
        ..Catalog::default()
    };
    Some(remote.catalogue(question, catalog, &[]).await)
}

impl ListMusic {
    fn media(&self) -> MediaQuery {
        MediaQuery {
            base_url: self.base_url.clone(),
            provider: self.provider.clone(),
            providers_only: false,
        }
    }
}

fn music(kind: &'static str, request: ListMusic, found: &Served, raw: Value) -> Catalog {
    let available = !found.providers.is_empty();
    Catalog {
        kind,
        scope: "music",
        upstream: MUSIC_UPSTREAM,
        available,
        error: unserved(available, "music generation"),
        items: found.items(kind == "providers"),
        task: Some(request.task),
        provider: request.provider,
        raw: object(raw),
        ..Catalog::default()
    }
}
