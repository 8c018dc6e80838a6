//! Music and other sounds (media contract §6).

use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    answer::{Head, frame, references},
    call::{Call, addressed, detached, perform, request_id},
    images::{add_route, spec},
    options::{Options, prompt},
};
use crate::{
    ApiError, ApiResult, CallContext, Request,
    input::{BodyRule, Given, InputWithBytes, Issue, Reader, parse_json, string},
};

/// Music from a text.
pub(super) struct GenerateMusic {
    run_id: String,
    prompt: String,
    task: Option<String>,
    request_id: Option<String>,
    text_model: (Option<String>, Option<String>),
    provider: Option<String>,
    model: Option<String>,
    format: String,
    options: Object,
    /// A member that other servers have and this one refuses.
    names_backend: bool,
}

impl Request for GenerateMusic {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        Self {
            run_id,
            names_backend: body.has("backend") || body.has("music_backend"),
            prompt: body.required("prompt", string().max_len(20_000)),
            task: body.optional("task", string().max_len(64)),
            request_id: body.optional("request_id", string().max_len(160)),
            text_model: (
                body.optional("provider", string().max_len(80)),
                body.optional("model", string().max_len(240)),
            ),
            provider: body.optional("music_provider", string().max_len(120)),
            model: body.optional("music_model", string().max_len(240)),
            format: body.or("format", string().max_len(16), "wav".to_owned()),
            options: Options::of(&mut body)
                .text("lyrics", 20_000)
                .seconds("duration_s")
                .any_int("seed")
                .int("num_inference_steps", 1, 2000)
                .float("guidance_scale")
                .flag("instrumental")
                .flag("enhance_prompt")
                .flag("structure_prompt")
                .flag("auto_lyrics")
                .text("text_planner_mode", 32)
                .extra()
                .done(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Music {
    #[serde(flatten)]
    head: Head,
    music_artifact: Option<Value>,
    code: Option<String>,
    error: Option<String>,
}

/// The task behind a name.
fn task_of(name: Option<&str>) -> ApiResult<&'static str> {
    let name = name
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
        .replace(['-', ' '], "_");
    match name.as_str() {
        "" | "text_to_music" | "music" | "music_generation" => Ok("text_to_music"),
        "text_to_audio" | "audio" | "sound" | "sfx" | "sound_effects" | "sound_generation" => {
            Ok("text_to_audio")
        }
        "lyrics_to_music" | "lyrics" => Ok("lyrics_to_music"),
        _ => Err(ApiError::bad_request(
            "task must be one of text_to_music, text_to_audio, or lyrics_to_music",
        )),
    }
}

pub(super) async fn generate_music(
    ctx: CallContext,
    InputWithBytes(asked, bytes): InputWithBytes<GenerateMusic>,
) -> ApiResult<Json<Music>> {
    if asked.names_backend {
        return Err(ApiError::invalid(vec![Issue {
            kind: "value_error",
            loc: vec!["body".into()],
            msg: "Value error, Music generation uses `music_provider` as the backend selector; `music_backend` and \
                  `backend` are not supported."
                .into(),
            input: Given::Value(parse_json(&bytes).unwrap_or_default()),
            ctx: Some(("error", json!({}))),
        }]));
    }
    let prompt = prompt(&asked.prompt)?;
    let task = task_of(asked.task.as_deref())?;
    let sound = task == "text_to_audio";
    let (modality, label, source) = match sound {
        true => ("sound", "sound generation", "gateway_direct_sound"),
        false => ("music", "music generation", "gateway_direct_music"),
    };
    let at = addressed(&ctx, &asked.run_id).await?;
    let request_id = request_id(&ctx, asked.request_id);
    let format = asked.format.trim().trim_start_matches('.').to_ascii_lowercase();
    let session = at.owner.session_id.as_deref();
    let mut output = spec(
        modality,
        task,
        source,
        &format,
        &at.owner.id,
        &request_id,
        session,
    );
    output.extend(asked.options);
    add_route(&mut output, asked.provider, asked.model);
    let call = Call {
        task,
        label,
        words: Some(("prompt", prompt)),
        media: None,
        output,
        text_model: asked.text_model,
    };
    let work = {
        let ctx = ctx.clone();
        async move {
            let done = perform(&ctx, &at, &request_id, call).await?;
            let references = references(&ctx, &done, modality, modality, &format)?;
            let (head, tail) = frame(at.owner.id, request_id, &done, &references, "generated_music");
            let (code, error) = tail.parts();
            Ok(Json(Music {
                head,
                music_artifact: references.into_iter().next(),
                code,
                error,
            }))
        }
    };
    detached(&ctx, work).await
}
