//! Speech, transcripts, music.

use ag_providers::media::{
    MediaReply, MusicRequest, SpeechReply, SpeechRequest, TranscribeRequest, Transcript,
};
use ag_providers::{MusicModel, Object, ProviderError, SpeechModel, Transcriber};
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{SplitMedia, body};
use crate::media::{transcribe_form, transcript};
use crate::transport::{Exchange, key_header};

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
