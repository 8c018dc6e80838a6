//! Videos (media contract §5).

use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::Value;

use super::{
    answer::{Head, Tail, frame, references},
    call::{Call, addressed, detached, perform, request_id},
    images::{add_route, spec},
    options::{Count, Options, prompt},
    source,
};
use crate::{
    ApiResult, CallContext, Input, Request,
    input::{BodyRule, Reader, int, object, string},
};

struct Video {
    run_id: String,
    prompt: String,
    request_id: Option<String>,
    text_model: (Option<String>, Option<String>),
    provider: Option<String>,
    model: Option<String>,
    format: String,
    count: Count,
    frames: Option<i64>,
    options: Object,
}

impl Video {
    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        let frames = body.optional("num_frames", int().ge(1).le(2000));
        Self {
            run_id,
            prompt: body.required("prompt", string().max_len(20_000)),
            request_id: body.optional("request_id", string().max_len(160)),
            text_model: (
                body.optional("provider", string().max_len(80)),
                body.optional("model", string().max_len(240)),
            ),
            provider: body.optional("video_provider", string().max_len(80)),
            model: body.optional("video_model", string().max_len(240)),
            format: body.or("format", string().max_len(16), "mp4".to_owned()),
            count: Count::read(&mut body),
            frames: frames.or(body.optional("frames", int().ge(1).le(2000))),
            options: Options::of(&mut body)
                .int("width", 1, 8192)
                .int("height", 1, 8192)
                .int("fps", 1, 240)
                .seconds("duration_s")
                .text("negative_prompt", 8000)
                .int("steps", 1, 1000)
                .float("flow_shift")
                .sampling()
                .done(),
        }
    }

    /// A length in seconds is a number of frames where their rate is known.
    fn options(&self, count: Option<i64>) -> Object {
        let mut options = self.options.clone();
        let (fps, seconds) = (
            options.get("fps").and_then(Value::as_f64),
            options.get("duration_s").and_then(Value::as_f64),
        );
        let by_time = fps
            .zip(seconds)
            .map(|(fps, seconds)| (fps * seconds).round().max(1.0) as i64);
        if let Some(frames) = self.frames.or(by_time) {
            options.remove("duration_s");
            options.insert("num_frames".to_owned(), frames.into());
        }
        options.extend(count.map(|count| ("count".to_owned(), count.into())));
        options
    }
}

/// A video from a text.
pub(super) struct GenerateVideos(Video);

impl Request for GenerateVideos {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        Self(Video::read(reader))
    }
}

/// A video from an image.
pub(super) struct FromImage {
    video: Video,
    image: Object,
}

impl Request for FromImage {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let image = reader.body().required("image_artifact", object());
        Self {
            video: Video::read(reader),
            image,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Videos {
    #[serde(flatten)]
    head: Head,
    video_artifact: Option<Value>,
    video_artifacts: Vec<Value>,
    #[serde(flatten)]
    tail: Tail,
}

struct Kind {
    task: &'static str,
    label: &'static str,
    source: &'static str,
    code: &'static str,
}

const FROM_TEXT: Kind = Kind {
    task: "text_to_video",
    label: "video generation",
    source: "gateway_direct_video",
    code: "generated_video",
};
const FROM_IMAGE: Kind = Kind {
    task: "image_to_video",
    label: "image-to-video generation",
    source: "gateway_direct_image_to_video",
    code: "image_to_video",
};

pub(super) async fn generate_videos(
    ctx: CallContext,
    Input(GenerateVideos(video)): Input<GenerateVideos>,
) -> ApiResult<Json<Videos>> {
    make(&ctx, &FROM_TEXT, video, None).await
}

pub(super) async fn generate_videos_from_image(
    ctx: CallContext,
    Input(asked): Input<FromImage>,
) -> ApiResult<Json<Videos>> {
    make(&ctx, &FROM_IMAGE, asked.video, Some(asked.image)).await
}

async fn make(
    ctx: &CallContext,
    kind: &'static Kind,
    mut video: Video,
    image: Option<Object>,
) -> ApiResult<Json<Videos>> {
    let prompt = prompt(&video.prompt)?;
    let count = std::mem::replace(&mut video.count, Count::none()).one()?;
    let at = addressed(ctx, &video.run_id).await?;
    let media = match &image {
        None => None,
        Some(reference) => {
            let meta = source::find(ctx, &at.owner, "image_artifact", reference, "image").await?;
            Some(Value::Array(vec![source::image_item(&meta, "source")]))
        }
    };
    let options = video.options(count);
    let request_id = request_id(ctx, video.request_id);
    let format = video.format.trim().trim_start_matches('.').to_ascii_lowercase();
    let session = at.owner.session_id.as_deref();
    let mut output = spec(
        "video",
        kind.task,
        kind.source,
        &format,
        &at.owner.id,
        &request_id,
        session,
    );
    output.extend(options);
    add_route(&mut output, video.provider, video.model);
    let call = Call {
        task: kind.task,
        label: kind.label,
        words: Some(("prompt", prompt)),
        media,
        output,
        text_model: video.text_model,
    };
    let work = {
        let ctx = ctx.clone();
        async move {
            let done = perform(&ctx, &at, &request_id, call).await?;
            let references = references(&ctx, &done, "video", "video", &format)?;
            let (head, tail) = frame(at.owner.id, request_id, &done, &references, kind.code);
            Ok(Json(Videos {
                head,
                video_artifact: references.first().cloned(),
                video_artifacts: references,
                tail,
            }))
        }
    };
    detached(ctx, work).await
}
