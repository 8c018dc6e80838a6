//! Images, speech and transcription over the wire. A try that may have cost money is not repeated.

use std::time::Duration;

use ag_outbound::OutboundClient;
use ag_providers::media::{
    ImageReply, ImageRequest, MediaFile, SpeechReply, SpeechRequest, TranscribeRequest, Transcript,
};
use ag_providers::{ImageModel, ProviderError, SpeechModel, Transcriber};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::errors::{from_transport, refused};
use crate::transport::{Answer, Exchange, Transport};

/// Limit of the download of a picture that the server only linked.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// All three ports of an endpoint.
pub(crate) struct OpenAiMedia {
    pub(crate) transport: Transport,
    /// For addresses that the server, not the operator, chose.
    pub(crate) foreign: OutboundClient,
}

impl OpenAiMedia {
    fn unreadable(&self, path: &str, detail: &str) -> ProviderError {
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
            .bytes_at(url, exchange, |request| request.multipart(form))
            .await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(path, "not JSON"))
    }

    async fn picture(
        &self,
        path: &str,
        raw: &Value,
        cancel: &CancellationToken,
    ) -> Result<ImageReply, ProviderError> {
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
        let content_type = image_type(&data).to_owned();
        Ok(ImageReply {
            data,
            content_type,
            revised_prompt,
        })
    }

    fn decode(&self, path: &str, encoded: &str) -> Result<Bytes, ProviderError> {
        STANDARD
            .decode(encoded.trim())
            .map(Bytes::from)
            .map_err(|_| self.unreadable(path, "picture is not base64"))
    }

    /// Fetches without the key. The server's own host is as trusted as the endpoint, any other is not.
    async fn download(
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
}

#[async_trait]
impl ImageModel for OpenAiMedia {
    async fn image(&self, req: ImageRequest, cancel: CancellationToken) -> Result<ImageReply, ProviderError> {
        let timeout = self.transport.timeout(req.timeout);
        if req.images.is_empty() {
            let mut body = json!({ "prompt": req.prompt, "n": 1, "model": req.model });
            if let Some(map) = body.as_object_mut() {
                for (key, value) in [("size", req.size), ("quality", req.quality), ("style", req.style)] {
                    if let Some(value) = value {
                        map.insert(key.to_owned(), Value::from(value));
                    }
                }
            }
            let path = "images/generations";
            let exchange = Exchange {
                method: Method::POST,
                path,
                timeout,
                cancel: &cancel,
            };
            let (raw, _) = self
                .transport
                .json(exchange, Some(&body), HeaderMap::new())
                .await?;
            return self.picture(path, &raw, &cancel).await;
        }
        let mut form = Form::new().text("prompt", req.prompt).text("model", req.model);
        if let Some(strength) = req.strength {
            form = form.text("strength", strength.to_string());
        }
        if let Some(size) = req.size {
            form = form.text("size", size);
        }
        for image in req.images {
            form = form.part("image[]", part(image)?);
        }
        if let Some(mask) = req.mask {
            form = form.part("mask", part(mask)?);
        }
        let path = "images/edits";
        let raw = self.post_form(path, form, timeout, &cancel).await?;
        self.picture(path, &raw, &cancel).await
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
            .bytes_at(url, exchange, |request| request.json(&body))
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
        let form = form.part("file", part(req.file)?);
        let path = "audio/transcriptions";
        let raw = self
            .post_form(path, form, self.transport.timeout(req.timeout), &cancel)
            .await?;
        let text = raw
            .get("text")
            .and_then(Value::as_str)
            .ok_or_else(|| self.unreadable(path, "no text"))?;
        Ok(Transcript {
            text: text.to_owned(),
        })
    }
}

fn part(file: MediaFile) -> Result<Part, ProviderError> {
    let length = file.data.len() as u64;
    let part = Part::stream_with_length(file.data, length).file_name(file.filename);
    if file.content_type.is_empty() {
        return Ok(part);
    }
    part.mime_str(&file.content_type)
        .map_err(|_| ProviderError::Invalid(format!("content type '{}' is not valid", file.content_type)))
}

/// Told by the first bytes; servers send several formats under one name.
fn image_type(data: &[u8]) -> &'static str {
    match data {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        _ => "application/octet-stream",
    }
}
