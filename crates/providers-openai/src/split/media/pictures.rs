//! Pictures and videos.

use ag_providers::media::{ImageRequest, MediaReply, UpscaleRequest, VideoRequest};
use ag_providers::{ImageModel, Object, ProgressSink, ProviderError, Upscaler, VideoModel};
use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::jobs::{Body, Job};
use super::{SplitMedia, body, form};
use crate::media::part;

/// Sizes of the `gpt-image` models; others become `auto`.
const GPT_IMAGE_SIZES: [&str; 4] = ["1024x1024", "1536x1024", "1024x1536", "auto"];
/// Options that only local engines know.
const LOCAL_ONLY: [&str; 10] = [
    "width",
    "height",
    "seed",
    "seeds",
    "steps",
    "guidance_scale",
    "guidance_2",
    "negative_prompt",
    "lora_adapters",
    "flow_shift",
];

#[async_trait]
impl ImageModel for SplitMedia {
    async fn image(
        &self,
        req: ImageRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let own = json!({
            "prompt": req.prompt, "response_format": "b64_json", "size": req.size, "n": req.count.max(1),
            "quality": req.quality, "style": req.style, "strength": req.strength,
        });
        let mut members = body(own, self.route(&req.model), req.options);
        fit_to_model(&req.model, &mut members);
        let edits = !req.images.is_empty();
        let job = Job {
            body: if edits {
                let mut form = form(members);
                for image in req.images {
                    form = form.part("image", part(image)?);
                }
                match req.mask {
                    Some(mask) => Body::Form(form.part("mask", part(mask)?)),
                    None => Body::Form(form),
                }
            } else {
                Body::Json(members)
            },
            what: if edits { "image edit" } else { "image generation" },
            key: req.idempotency_key,
            timeout: req.timeout,
        };
        let path = match edits {
            true => "vision/jobs/images/edits",
            false => "vision/jobs/images/generations",
        };
        self.job(path, job, progress, &cancel).await
    }
}

#[async_trait]
impl Upscaler for SplitMedia {
    async fn upscale(
        &self,
        req: UpscaleRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let members = body(json!({}), self.route(&req.model), req.options);
        let job = Job {
            body: Body::Form(form(members).part("image", part(req.image)?)),
            what: "image upscale",
            key: req.idempotency_key,
            timeout: req.timeout,
        };
        self.job("vision/jobs/images/upscale", job, progress, &cancel)
            .await
    }
}

#[async_trait]
impl VideoModel for SplitMedia {
    async fn video(
        &self,
        req: VideoRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let own = json!({"prompt": req.prompt, "response_format": "b64_json", "n": req.count.max(1)});
        let members = body(own, self.route(&req.model), req.options);
        let (path, what, body) = match req.image {
            None => (
                "vision/jobs/videos/generations",
                "video generation",
                Body::Json(members),
            ),
            Some(image) => (
                "vision/jobs/videos/edits",
                "image-to-video generation",
                Body::Form(form(members).part("image", part(image)?)),
            ),
        };
        let job = Job {
            body,
            what,
            key: req.idempotency_key,
            timeout: req.timeout,
        };
        self.job(path, job, progress, &cancel).await
    }
}

/// `gpt-image` models refuse what local engines need.
fn fit_to_model(model: &str, body: &mut Object) {
    let name = model.rsplit('/').next().unwrap_or(model);
    if !name.to_ascii_lowercase().starts_with("gpt-image") {
        return;
    }
    body.retain(|key, _| !LOCAL_ONLY.contains(&key.as_str()));
    if let Some(size) = body.get_mut("size") {
        let known = size.as_str().is_some_and(|size| GPT_IMAGE_SIZES.contains(&size));
        if !known {
            *size = "auto".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_fit_the_model() {
        let options = |value: Value| value.as_object().cloned().unwrap_or_default();
        let mut body = body(
            json!({"prompt": "p", "size": "64x64", "style": null}),
            Object::new(),
            options(json!({"seed": 1, "prompt": "other", "extra": {"a": 1}})),
        );
        assert_eq!(
            Value::Object(body.clone()),
            json!({"prompt": "p", "size": "64x64", "seed": 1, "extra": {"a": 1}})
        );
        fit_to_model("openai/gpt-image-1", &mut body);
        assert_eq!(
            Value::Object(body),
            json!({"prompt": "p", "size": "auto", "extra": {"a": 1}})
        );
    }
}
