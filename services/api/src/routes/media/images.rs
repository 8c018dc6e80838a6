//! Images (media contract §4).

use ag_types::Object;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    answer::{Head, Tail, frame, references},
    call::{Call, addressed, detached, perform, request_id},
    options::{Count, Options, prompt},
    source,
};
use crate::{
    ApiResult, CallContext, Input, Request,
    input::{BodyRule, Fields, Reader, object, string},
};

/// What all three have in common.
struct Common {
    run_id: String,
    request_id: Option<String>,
    text_model: (Option<String>, Option<String>),
    provider: Option<String>,
    model: Option<String>,
    format: String,
}

impl Common {
    fn read(run_id: String, body: &mut Fields<'_>) -> Self {
        Self {
            run_id,
            text_model: (
                body.optional("provider", string().max_len(80)),
                body.optional("model", string().max_len(240)),
            ),
            provider: body.optional("image_provider", string().max_len(80)),
            model: body.optional("image_model", string().max_len(240)),
            format: body.or("format", string().max_len(16), "png".to_owned()),
            request_id: body.optional("request_id", string().max_len(160)),
        }
    }
}

/// The options of generation and editing.
fn picture_options(body: &mut Fields<'_>) -> Object {
    Options::of(body)
        .text("size", 32)
        .int("width", 1, 8192)
        .int("height", 1, 8192)
        .text("negative_prompt", 8000)
        .int("steps", 1, 500)
        .text("quality", 32)
        .text("style", 64)
        .sampling()
        .done()
}

/// An image from a text.
pub(super) struct GenerateImages {
    common: Common,
    prompt: String,
    count: Count,
    options: Object,
}

impl Request for GenerateImages {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        Self {
            prompt: body.required("prompt", string().max_len(20_000)),
            common: Common::read(run_id, &mut body),
            count: Count::read(&mut body),
            options: picture_options(&mut body),
        }
    }
}

/// A changed image.
pub(super) struct EditImage {
    common: Common,
    prompt: String,
    image: Object,
    mask: Option<Object>,
    count: Count,
    options: Object,
}

impl Request for EditImage {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        let prompt = body.required("prompt", string().max_len(20_000));
        let image = body.required("image_artifact", object());
        let mask = body.optional("mask_artifact", object());
        let common = Common::read(run_id, &mut body);
        let count = Count::read(&mut body);
        let mut options = picture_options(&mut body);
        options.extend(Options::of(&mut body).part("strength").done());
        Self {
            common,
            prompt,
            image,
            mask,
            count,
            options,
        }
    }
}

/// A larger image.
pub(super) struct UpscaleImage {
    common: Common,
    image: Object,
    options: Object,
}

impl Request for UpscaleImage {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let run_id = reader.path().required("run_id", string());
        let mut body = reader.body();
        Self {
            image: body.required("image_artifact", object()),
            common: Common::read(run_id, &mut body),
            options: Options::of(&mut body)
                .text("scale", 32)
                .side_or_text("resolution")
                .part("softness")
                .any_int("seed")
                .int("quantize", 1, 16)
                .flag("vae_tiling")
                .extra()
                .done(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Images {
    #[serde(flatten)]
    head: Head,
    image_artifact: Option<Value>,
    image_artifacts: Vec<Value>,
    #[serde(flatten)]
    tail: Tail,
}

/// One of the three.
struct Kind {
    task: &'static str,
    label: &'static str,
    source: &'static str,
    stem: &'static str,
    code: &'static str,
}

const GENERATE: Kind = Kind {
    task: "image_generation",
    label: "image generation",
    source: "gateway_direct_image",
    stem: "generated",
    code: "generated_image",
};
const EDIT: Kind = Kind {
    task: "image_edit",
    label: "image edit",
    source: "gateway_direct_image_edit",
    stem: "edited",
    code: "edited_image",
};
const UPSCALE: Kind = Kind {
    task: "image_upscale",
    label: "image upscale",
    source: "gateway_direct_image_upscale",
    stem: "upscaled",
    code: "image_upscale",
};

pub(super) async fn generate_images(
    ctx: CallContext,
    Input(asked): Input<GenerateImages>,
) -> ApiResult<Json<Images>> {
    let prompt = prompt(&asked.prompt)?;
    let count = asked.count.one()?;
    let mut options = asked.options;
    options.extend(count.map(|count| ("count".to_owned(), count.into())));
    make(
        &ctx,
        &GENERATE,
        asked.common,
        options,
        Some(prompt),
        Sources::default(),
    )
    .await
}

pub(super) async fn edit_image(ctx: CallContext, Input(asked): Input<EditImage>) -> ApiResult<Json<Images>> {
    let prompt = prompt(&asked.prompt)?;
    let count = asked.count.one()?;
    let mut options = asked.options;
    options.extend(count.map(|count| ("count".to_owned(), count.into())));
    let sources = Sources {
        image: Some(asked.image),
        mask: asked.mask,
    };
    make(&ctx, &EDIT, asked.common, options, Some(prompt), sources).await
}

pub(super) async fn upscale_image(
    ctx: CallContext,
    Input(asked): Input<UpscaleImage>,
) -> ApiResult<Json<Images>> {
    let sources = Sources {
        image: Some(asked.image),
        mask: None,
    };
    make(&ctx, &UPSCALE, asked.common, asked.options, None, sources).await
}

#[derive(Default)]
struct Sources {
    image: Option<Object>,
    mask: Option<Object>,
}

async fn make(
    ctx: &CallContext,
    kind: &'static Kind,
    common: Common,
    options: Object,
    prompt: Option<String>,
    sources: Sources,
) -> ApiResult<Json<Images>> {
    let at = addressed(ctx, &common.run_id).await?;
    let mut media = Vec::new();
    for (name, role, reference) in [
        ("image_artifact", "source", &sources.image),
        ("mask_artifact", "mask", &sources.mask),
    ] {
        if let Some(reference) = reference {
            let meta = source::find(ctx, &at.owner, name, reference, "image").await?;
            media.push(source::image_item(&meta, role));
        }
    }
    let request_id = request_id(ctx, common.request_id);
    let format = common.format.trim().trim_start_matches('.').to_ascii_lowercase();
    let mut output = spec(
        "image",
        kind.task,
        kind.source,
        &format,
        &at.owner.id,
        &request_id,
        at.owner.session_id.as_deref(),
    );
    output.extend(options);
    add_route(&mut output, common.provider, common.model);
    let call = Call {
        task: kind.task,
        label: kind.label,
        words: prompt.map(|prompt| ("prompt", prompt)),
        media: (!media.is_empty()).then(|| media.into()),
        output,
        text_model: common.text_model,
    };
    let work = {
        let ctx = ctx.clone();
        async move {
            let done = perform(&ctx, &at, &request_id, call).await?;
            let references = references(&ctx, &done, "image", kind.stem, &format)?;
            let (head, tail) = frame(at.owner.id, request_id, &done, &references, kind.code);
            Ok(Json(Images {
                head,
                image_artifact: references.first().cloned(),
                image_artifacts: references,
                tail,
            }))
        }
    };
    detached(ctx, work).await
}

/// The specification of an output whose artifact belongs to the addressed run.
pub(super) fn spec(
    modality: &str,
    task: &str,
    source: &str,
    format: &str,
    run_id: &str,
    request_id: &str,
    session_id: Option<&str>,
) -> Object {
    let mut tags = json!({
        "kind": "generated_media", "modality": modality, "task": task, "source": source, "request_id": request_id,
        "format": format,
    });
    if let (Some(session), Some(tags)) = (session_id, tags.as_object_mut()) {
        tags.insert("session_id".to_owned(), session.into());
    }
    let spec = json!({
        "modality": modality, "task": task, "format": format, "run_id": run_id, "tags": tags,
    });
    spec.as_object().cloned().unwrap_or_default()
}

/// Provider and model of the media back end.
pub(super) fn add_route(output: &mut Object, provider: Option<String>, model: Option<String>) {
    for (name, value) in [("provider", provider), ("model", model)] {
        let value = value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty());
        output.extend(value.map(|value| (name.to_owned(), value.into())));
    }
}
