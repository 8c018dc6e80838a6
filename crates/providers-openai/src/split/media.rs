//! Media in split mode (contract, media §9.2). Speech and music come in one exchange; pictures and videos are jobs: the
//! server is asked once a second until one is over, and what it tells meanwhile is passed on.
//!
//! The server offers no way to stop a job. A cancelled call closes its connection and asks no more; the job ends by
//! itself and its result is never fetched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ag_providers::media::{
    ImageRequest, MediaReply, MusicRequest, SpeechReply, SpeechRequest, TranscribeRequest, Transcript,
    UpscaleRequest, VideoRequest,
};
use ag_providers::{
    ImageModel, MusicModel, Object, ProgressSink, ProviderEndpoint, ProviderError, SpeechModel, Transcriber,
    Upscaler, VideoModel,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::multipart::Form;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::media::{media_type, part, transcribe_form, transcript};
use crate::transport::{Exchange, Transport, key_header};

/// Pause between two looks at a job.
const POLL: Duration = Duration::from_secs(1);
/// Limit of one look.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// Looks that may fail in a row before the job counts as lost.
const MAX_MISSED: u32 = 5;
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

/// All media ports of an endpoint behind the server.
pub(crate) struct SplitMedia {
    /// To the server.
    transport: Transport,
    /// The endpoint that the server is to call.
    behind: Arc<ProviderEndpoint>,
}

impl SplitMedia {
    pub(crate) fn new(transport: Transport, behind: Arc<ProviderEndpoint>) -> Self {
        Self { transport, behind }
    }

    fn unreadable(&self, path: &str, detail: &str) -> ProviderError {
        let place = self.transport.place(&self.transport.url(path));
        ProviderError::Unreadable {
            family: place.family,
            detail: detail.to_owned(),
            url: place.url,
        }
    }

    /// Provider, model and address as members of a request.
    fn route(&self, model: &str) -> Object {
        let family = self.behind.family.name;
        let mut members = Object::new();
        members.insert("provider".to_owned(), family.into());
        if !model.is_empty() {
            let named = match family {
                "openai" | "openai-compatible" => format!("openai-compatible/{model}"),
                _ => model.to_owned(),
            };
            members.insert("model".to_owned(), named.into());
        }
        if !self.behind.base_url.is_empty() {
            members.insert("base_url".to_owned(), self.behind.base_url.as_str().into());
        }
        members
    }

    async fn job(
        &self,
        path: &str,
        job: Job,
        progress: ProgressSink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let timeout = self.transport.timeout(job.timeout);
        let deadline = Instant::now() + timeout;
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout,
            cancel,
        };
        let headers = key_header(job.key.as_deref());
        let answer = match job.body {
            Body::Json(body) => {
                self.transport
                    .json(exchange, Some(&Value::Object(body)), headers)
                    .await?
                    .0
            }
            Body::Form(form) => {
                let url = self.transport.url(path);
                let prepare = |request: reqwest::RequestBuilder| request.multipart(form).headers(headers);
                let answer = self.transport.bytes_at(url, exchange, prepare).await?;
                serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(path, "not JSON"))?
            }
        };
        let id = answer
            .get("job_id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            ProviderError::Invalid(format!("Remote {} job did not return job_id.", job.what))
        })?;
        self.await_job(id, job.what, deadline, progress, cancel).await
    }

    async fn await_job(
        &self,
        id: &str,
        what: &str,
        deadline: Instant,
        progress: ProgressSink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let mut url = self.transport.url("vision/jobs/");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(id);
        }
        url.query_pairs_mut().append_pair("consume", "true");
        let (mut told, mut missed) = (Object::new(), 0);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ProviderError::Cancelled),
                () = tokio::time::sleep(POLL) => {}
            }
            if Instant::now() > deadline {
                let place = self.transport.place(&url);
                return Err(ProviderError::Timeout {
                    family: place.family,
                    seconds: self.transport.timeout(None).as_secs_f64(),
                    url: place.url,
                });
            }
            let exchange = Exchange {
                method: Method::GET,
                path: "vision/jobs",
                timeout: POLL_TIMEOUT,
                cancel,
            };
            let job = match self
                .transport
                .json_at(url.clone(), exchange, None, HeaderMap::new())
                .await
            {
                Ok((job, _)) => job,
                // The job goes on whether or not somebody looks.
                Err(error) if is_passing(&error) && missed < MAX_MISSED => {
                    missed += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            missed = 0;
            if let Some(report) = report_of(&job).filter(|report| *report != told) {
                told.clone_from(&report);
                progress(report);
            }
            match job.get("state").and_then(Value::as_str).unwrap_or_default() {
                "succeeded" => return self.results(&job),
                "failed" | "cancelled" => return Err(self.failed(&job, what)),
                _ => {}
            }
        }
    }

    fn failed(&self, job: &Value, what: &str) -> ProviderError {
        let error = job.get("error");
        let text = error
            .and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()))
            .unwrap_or("no reason given");
        let text = crate::errors::tidy(text, self.transport.secret());
        ProviderError::Unsupported(format!("Remote {what} failed: {text}"))
    }

    fn results(&self, job: &Value) -> Result<Vec<MediaReply>, ProviderError> {
        const PATH: &str = "vision/jobs";
        let data = job
            .pointer("/result/data")
            .or_else(|| job.get("data"))
            .and_then(Value::as_array);
        let data = data.ok_or_else(|| self.unreadable(PATH, "no result"))?;
        let reply = |item: &Value| {
            let encoded = item.get("b64_json").and_then(Value::as_str);
            let encoded = encoded.ok_or_else(|| self.unreadable(PATH, "result without content"))?;
            let data = STANDARD
                .decode(encoded.trim())
                .map_err(|_| self.unreadable(PATH, "result is not base64"))?;
            let told = ["mime_type", "content_type"]
                .iter()
                .find_map(|key| item.get(*key)?.as_str());
            Ok(MediaReply {
                content_type: told.unwrap_or_else(|| media_type(&data)).to_owned(),
                data: data.into(),
                revised_prompt: item
                    .get("revised_prompt")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                sent_as: Some("b64_json"),
            })
        };
        data.iter().map(reply).collect()
    }
}

enum Body {
    Json(Object),
    Form(Form),
}

struct Job {
    body: Body,
    /// For error texts.
    what: &'static str,
    key: Option<String>,
    timeout: Option<Duration>,
}

/// Failures that say nothing about the job.
fn is_passing(error: &ProviderError) -> bool {
    match error {
        ProviderError::Connect { .. }
        | ProviderError::ConnectionLost { .. }
        | ProviderError::Timeout { .. }
        | ProviderError::RateLimited(_) => true,
        ProviderError::Api(failure) => failure.status >= 500,
        _ => false,
    }
}

/// What a job tells of itself.
fn report_of(job: &Value) -> Option<Object> {
    let mut report = match job.get("progress")? {
        Value::Object(progress) => progress.clone(),
        number @ Value::Number(_) => Object::from_iter([("progress".to_owned(), number.clone())]),
        _ => return None,
    };
    report.retain(|_, value| !value.is_null());
    if report.is_empty() {
        return None;
    }
    if let Some(state) = job.get("state").filter(|state| state.is_string()) {
        report.entry("job_state").or_insert_with(|| state.clone());
    }
    Some(report)
}

/// Members of a JSON body: the request's own, then its options.
fn body(own: Value, route: Object, options: Object) -> Object {
    let mut body = own.as_object().cloned().unwrap_or_default();
    body.extend(route);
    for (key, value) in options {
        if !value.is_null() {
            body.entry(key).or_insert(value);
        }
    }
    body.retain(|_, value| !value.is_null());
    body
}

/// The same as a form: objects and lists as JSON under the names of the contract, seeds with commas.
fn form(members: Object) -> Form {
    let mut form = Form::new();
    for (key, value) in members {
        let (key, text) = match (key.as_str(), &value) {
            (_, Value::Null) => continue,
            ("extra", value) => ("extra_json".to_owned(), value.to_string()),
            ("lora_adapters", value) => ("lora_adapters_json".to_owned(), value.to_string()),
            ("seeds", Value::Array(seeds)) => {
                let seeds: Vec<String> = seeds.iter().map(Value::to_string).collect();
                (key, seeds.join(","))
            }
            (_, Value::String(text)) => (key, text.clone()),
            (_, other) => (key, other.to_string()),
        };
        form = form.text(key, text);
    }
    form
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

#[async_trait]
impl MusicModel for SplitMedia {
    async fn music(&self, req: MusicRequest, cancel: CancellationToken) -> Result<MediaReply, ProviderError> {
        let own = json!({"prompt": req.prompt, "task": req.task, "format": req.format});
        let body = Value::Object(body(own, self.route(&req.model), req.options));
        let path = "audio/music";
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout: self.transport.timeout(req.timeout),
            cancel: &cancel,
        };
        let headers = key_header(req.idempotency_key.as_deref());
        let url = self.transport.url(path);
        let answer = self
            .transport
            .bytes_at(url, exchange, |request| request.json(&body).headers(headers))
            .await?;
        if answer.body.is_empty() {
            return Err(self.unreadable(path, "no sound"));
        }
        Ok(MediaReply {
            content_type: content_type(&answer.headers),
            data: answer.body,
            ..MediaReply::default()
        })
    }
}

#[async_trait]
impl SpeechModel for SplitMedia {
    async fn speak(
        &self,
        req: SpeechRequest,
        cancel: CancellationToken,
    ) -> Result<SpeechReply, ProviderError> {
        let own = json!({
            "input": req.input, "response_format": req.format, "format": req.format, "model": req.model,
            "voice": req.voice, "instructions": req.instructions, "speed": req.speed,
        });
        let body = Value::Object(body(own, Object::new(), req.options));
        let path = format!("{}/v1/audio/speech", self.behind.family.name);
        let exchange = Exchange {
            method: Method::POST,
            path: &path,
            timeout: self.transport.timeout(req.timeout),
            cancel: &cancel,
        };
        let headers = key_header(req.idempotency_key.as_deref());
        let url = self.transport.root_url(&path);
        let answer = self
            .transport
            .bytes_at(url, exchange, |request| request.json(&body).headers(headers))
            .await?;
        if answer.body.is_empty() {
            return Err(self.unreadable("audio/speech", "no sound"));
        }
        Ok(SpeechReply {
            content_type: content_type(&answer.headers),
            data: answer.body,
        })
    }
}

#[async_trait]
impl Transcriber for SplitMedia {
    async fn transcribe(
        &self,
        req: TranscribeRequest,
        cancel: CancellationToken,
    ) -> Result<Transcript, ProviderError> {
        let timeout = self.transport.timeout(req.timeout);
        let key = req.idempotency_key.clone();
        let form = transcribe_form(req)?;
        let path = format!("{}/v1/audio/transcriptions", self.behind.family.name);
        let exchange = Exchange {
            method: Method::POST,
            path: &path,
            timeout,
            cancel: &cancel,
        };
        let headers = key_header(key.as_deref());
        let url = self.transport.root_url(&path);
        let prepare = |request: reqwest::RequestBuilder| request.multipart(form).headers(headers);
        let answer = self.transport.bytes_at(url, exchange, prepare).await?;
        transcript(&answer.body).ok_or_else(|| self.unreadable("audio/transcriptions", "no text"))
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn jobs_report_what_they_know() {
        let report = |job: Value| report_of(&job).map(Value::Object);
        assert_eq!(report(json!({"state": "queued"})), None);
        assert_eq!(report(json!({"state": "queued", "progress": {}})), None);
        assert_eq!(
            report(json!({"state": "running", "progress": {"step": 1, "eta_s": null}})),
            Some(json!({"step": 1, "job_state": "running"}))
        );
        assert_eq!(
            report(json!({"state": "running", "progress": 0.5})),
            Some(json!({"progress": 0.5, "job_state": "running"}))
        );
    }
}
