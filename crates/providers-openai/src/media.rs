//! Images, speech and transcription over the wire. A try that may have cost money is not repeated.

use std::time::Duration;

use ag_outbound::OutboundClient;
use ag_providers::media::{
    ImageRequest, MediaFile, MediaReply, SpeechReply, SpeechRequest, TranscribeRequest, Transcript,
};
use ag_providers::{ImageModel, ProgressSink, ProviderError, SpeechModel, Transcriber};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::errors::{from_transport, refused};
use crate::transport::{Answer, Exchange, Transport, key_header};

/// Limit of the download of a picture that the server only linked.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// All three ports of an endpoint.
pub(crate) struct OpenAiMedia {
    pub(crate) transport: Transport,
    /// For addresses that the server, not the operator, chose.
    pub(crate) foreign: OutboundClient,
}

impl OpenAiMedia {
    pub(crate) fn unreadable(&self, path: &str, detail: &str) -> ProviderError {
        let place = self.transport.place(&self.transport.url(path));
        ProviderError::Unreadable {
            family: place.family,
            detail: detail.to_owned(),
            url: place.url,
        }
    }

    async fn post_form(
        &self,
        path: &str,
        form: Form,
        key: Option<&str>,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<Value, ProviderError> {
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout,
            cancel,
        };
        let url = self.transport.url(path);
        let answer = self
            .transport
            .bytes_at(url, exchange, |request| {
                request.multipart(form).headers(key_header(key))
            })
            .await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(path, "not JSON"))
    }

    async fn picture(
        &self,
        path: &str,
        raw: &Value,
        cancel: &CancellationToken,
    ) -> Result<MediaReply, ProviderError> {
        let item = raw
            .pointer("/data/0")
            .ok_or_else(|| self.unreadable(path, "no picture"))?;
        let revised_prompt = item
            .get("revised_prompt")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let data = match (
            item.get("b64_json").and_then(Value::as_str),
            item.get("url").and_then(Value::as_str),
        ) {
            (Some(encoded), _) => self.decode(path, encoded)?,
            (None, Some(url)) => match url.split_once(";base64,") {
                Some((head, encoded)) if head.starts_with("data:") => self.decode(path, encoded)?,
                _ => self.download(path, url, cancel).await?,
            },
            (None, None) => return Err(self.unreadable(path, "no picture")),
        };
        let content_type = media_type(&data).to_owned();
        let encoded = item.get("b64_json").is_some_and(Value::is_string);
        Ok(MediaReply {
            data,
            content_type,
            revised_prompt,
            sent_as: Some(if encoded { "b64_json" } else { "url" }),
        })
    }

    pub(crate) fn decode(&self, path: &str, encoded: &str) -> Result<Bytes, ProviderError> {
        STANDARD
            .decode(encoded.trim())
            .map(Bytes::from)
            .map_err(|_| self.unreadable(path, "picture is not base64"))
    }

    /// Fetches without the key. The server's own host is as trusted as the endpoint, any other is not.
    pub(crate) async fn download(
        &self,
        path: &str,
        url: &str,
        cancel: &CancellationToken,
    ) -> Result<Bytes, ProviderError> {
        let url = Url::parse(url).map_err(|_| self.unreadable(path, "picture address is not a URL"))?;
        let place = self.transport.place(&url);
        let own = self.transport.url(path);
        let client = if own.origin() == url.origin() {
            self.transport.client()
        } else {
            &self.foreign
        };
        self.transport
            .bounded(&place, DOWNLOAD_TIMEOUT, cancel, async {
                let request = client
                    .request(Method::GET, url)
                    .map_err(|error| refused(&error))?;
                let response = request
                    .send()
                    .await
                    .map_err(|error| from_transport(&place, error))?;
                if !response.status().is_success() {
                    return Err(self.unreadable(path, "picture could not be downloaded"));
                }
                let limit = self.transport.max_response_bytes();
                ag_outbound::read_body(response, limit)
                    .await
                    .map_err(|error| self.transport.body_error(&place, error))
            })
            .await
    }

    async fn make(
        &self,
        req: &ImageRequest,
        key: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<MediaReply, ProviderError> {
        let timeout = self.transport.timeout(req.timeout);
        if req.images.is_empty() {
            let mut body = json!({ "prompt": req.prompt, "n": 1, "model": req.model });
            if let Some(map) = body.as_object_mut() {
                for (name, value) in [
                    ("size", &req.size),
                    ("quality", &req.quality),
                    ("style", &req.style),
                ] {
                    map.extend(
                        value
                            .as_deref()
                            .map(|value| (name.to_owned(), Value::from(value))),
                    );
                }
            }
            let path = "images/generations";
            let exchange = Exchange {
                method: Method::POST,
                path,
                timeout,
                cancel,
            };
            let (raw, _) = self
                .transport
                .json(exchange, Some(&body), key_header(key))
                .await?;
            return self.picture(path, &raw, cancel).await;
        }
        let mut form = Form::new()
            .text("prompt", req.prompt.clone())
            .text("model", req.model.clone());
        let optional = [
            ("strength", req.strength.map(|strength| strength.to_string())),
            ("size", req.size.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                form = form.text(name, value);
            }
        }
        for image in &req.images {
            form = form.part("image[]", part(image.clone())?);
        }
        if let Some(mask) = &req.mask {
            form = form.part("mask", part(mask.clone())?);
        }
        let path = "images/edits";
        let raw = self.post_form(path, form, key, timeout, cancel).await?;
        self.picture(path, &raw, cancel).await
    }
}

#[async_trait]
impl ImageModel for OpenAiMedia {
    /// One request per picture, one after the other: several in one answer would pass the size limit early.
    async fn image(
        &self,
        req: ImageRequest,
        _: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let mut pictures = Vec::new();
        for n in 1..=req.count.max(1) {
            let key = req.idempotency_key.as_ref().map(|key| match n {
                1 => key.clone(),
                n => format!("{key}/i{n}"),
            });
            pictures.push(self.make(&req, key.as_deref(), &cancel).await?);
        }
        Ok(pictures)
    }
}

#[async_trait]
impl SpeechModel for OpenAiMedia {
    async fn speak(
        &self,
        req: SpeechRequest,
        cancel: CancellationToken,
    ) -> Result<SpeechReply, ProviderError> {
        let mut body = json!({ "input": req.input, "response_format": req.format, "model": req.model, "voice": req.voice });
        if let Some(map) = body.as_object_mut() {
            if let Some(instructions) = req.instructions {
                map.insert("instructions".to_owned(), Value::from(instructions));
            }
            if let Some(speed) = req.speed {
                map.insert("speed".to_owned(), Value::from(speed));
            }
        }
        let path = "audio/speech";
        let timeout = self.transport.timeout(req.timeout);
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout,
            cancel: &cancel,
        };
        let url = self.transport.url(path);
        let Answer { headers, body: data } = self
            .transport
            .bytes_at(url, exchange, |request| {
                request
                    .json(&body)
                    .headers(key_header(req.idempotency_key.as_deref()))
            })
            .await?;
        if data.is_empty() {
            return Err(self.unreadable(path, "no sound"));
        }
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(SpeechReply {
            data,
            content_type: content_type.to_owned(),
        })
    }
}

#[async_trait]
impl Transcriber for OpenAiMedia {
    async fn transcribe(
        &self,
        req: TranscribeRequest,
        cancel: CancellationToken,
    ) -> Result<Transcript, ProviderError> {
        let path = "audio/transcriptions";
        let timeout = self.transport.timeout(req.timeout);
        let key = req.idempotency_key.clone();
        let exchange = Exchange {
            method: Method::POST,
            path,
            timeout,
            cancel: &cancel,
        };
        let headers = key_header(key.as_deref());
        let url = self.transport.url(path);
        let answer = if self.transport.endpoint().family.name == "openrouter" {
            let body = spoken_json(&req);
            let prepare = |request: RequestBuilder| request.json(&body).headers(headers);
            self.transport.bytes_at(url, exchange, prepare).await?
        } else {
            let form = transcribe_form(req)?;
            let prepare = |request: RequestBuilder| request.multipart(form).headers(headers);
            self.transport.bytes_at(url, exchange, prepare).await?
        };
        transcript(&answer.body).ok_or_else(|| self.unreadable(path, "no text"))
    }
}

/// A recording as OpenRouter wants it.
fn spoken_json(req: &TranscribeRequest) -> Value {
    let format = req.file.filename.rsplit('.').next().unwrap_or("wav");
    let mut body = json!({
        "model": req.model,
        "input_audio": {"data": STANDARD.encode(&req.file.data), "format": format},
    });
    if let Some(map) = body.as_object_mut() {
        let optional = [
            ("language", req.language.as_deref().map(Value::from)),
            ("prompt", req.prompt.as_deref().map(Value::from)),
            ("temperature", req.temperature.map(Value::from)),
        ];
        map.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
    }
    body
}

/// A recording as a form.
pub(crate) fn transcribe_form(req: TranscribeRequest) -> Result<Form, ProviderError> {
    let mut form = Form::new()
        .text("model", req.model)
        .text("response_format", "json");
    let optional = [
        ("language", req.language),
        ("prompt", req.prompt),
        ("temperature", req.temperature.map(|t| t.to_string())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            form = form.text(name, value);
        }
    }
    Ok(form.part("file", part(req.file)?))
}

/// The words of an answer.
pub(crate) fn transcript(body: &[u8]) -> Option<Transcript> {
    let raw: Value = serde_json::from_slice(body).ok()?;
    let text = raw.get("text")?.as_str()?.to_owned();
    Some(Transcript { text })
}

pub(crate) fn part(file: MediaFile) -> Result<Part, ProviderError> {
    let length = file.data.len() as u64;
    let part = Part::stream_with_length(file.data, length).file_name(file.filename);
    if file.content_type.is_empty() {
        return Ok(part);
    }
    part.mime_str(&file.content_type)
        .map_err(|_| ProviderError::Invalid(format!("content type '{}' is not valid", file.content_type)))
}

/// Told by the first bytes; servers send several formats under one name.
pub(crate) fn media_type(data: &[u8]) -> &'static str {
    match data {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "video/webm",
        _ => "application/octet-stream",
    }
}
