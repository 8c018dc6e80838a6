//! Music over chat completions whose answer is sound (ACE-Step's cloud and servers of the same form): the words are the
//! user's message, the piece is a data URL in `message.audio`.

use std::sync::Arc;

use ag_providers::media::{MediaReply, MusicRequest};
use ag_providers::{MusicModel, Object, ProviderError};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::media::OpenAiMedia;
use crate::transport::{Exchange, key_header};

const PATH: &str = "chat/completions";
/// Options under their contract names, and their names inside `audio_config`.
const AUDIO: [(&str, &str); 5] = [
    ("duration_s", "duration"),
    ("instrumental", "instrumental"),
    ("bpm", "bpm"),
    ("vocal_language", "vocal_language"),
    ("key_scale", "key_scale"),
];
/// The same beside it.
const BESIDE: [(&str, &str); 5] = [
    ("lyrics", "lyrics"),
    ("seed", "seed"),
    ("guidance_scale", "guidance_scale"),
    ("enhance_prompt", "use_format"),
    ("auto_lyrics", "sample_mode"),
];

/// The music port of an endpoint.
pub(crate) struct OpenAiMusic(pub(crate) Arc<OpenAiMedia>);

#[async_trait]
impl MusicModel for OpenAiMusic {
    /// Asked once: a try that may have cost money is not repeated.
    async fn music(&self, req: MusicRequest, cancel: CancellationToken) -> Result<MediaReply, ProviderError> {
        let body = Value::Object(body(&req));
        let transport = &self.0.transport;
        let exchange = Exchange {
            method: Method::POST,
            path: PATH,
            timeout: transport.timeout(req.timeout),
            cancel: &cancel,
        };
        let headers = key_header(req.idempotency_key.as_deref());
        let (answer, _) = transport.json(exchange, Some(&body), headers).await?;
        let piece = answer.pointer("/choices/0/message/audio");
        let piece = piece.map(|audio| audio.get(0).unwrap_or(audio));
        let url = piece.and_then(|piece| piece.pointer("/audio_url/url")?.as_str());
        let data = piece.and_then(|piece| piece.get("data")?.as_str());
        let (data, content_type) = match (url, data) {
            (Some(url), _) => match url
                .strip_prefix("data:")
                .and_then(|url| url.split_once(";base64,"))
            {
                Some((content_type, encoded)) => (self.0.decode(PATH, encoded)?, content_type.to_owned()),
                None => (self.0.download(PATH, url, &cancel).await?, String::new()),
            },
            (None, Some(encoded)) => (self.0.decode(PATH, encoded)?, String::new()),
            (None, None) => return Err(self.0.unreadable(PATH, "no sound")),
        };
        if data.is_empty() {
            return Err(self.0.unreadable(PATH, "no sound"));
        }
        Ok(MediaReply {
            data,
            content_type,
            ..MediaReply::default()
        })
    }
}

fn body(req: &MusicRequest) -> Object {
    let given = |key: &str| req.options.get(key).filter(|value| !value.is_null()).cloned();
    let mut audio = Object::new();
    audio.insert("format".to_owned(), req.format.as_str().into());
    for (key, name) in AUDIO {
        audio.extend(given(key).map(|value| (name.to_owned(), value)));
    }
    let mut body = Object::new();
    if !req.model.is_empty() {
        body.insert("model".to_owned(), req.model.as_str().into());
    }
    body.insert(
        "messages".to_owned(),
        json!([{"role": "user", "content": req.prompt}]),
    );
    body.insert("modalities".to_owned(), json!(["audio"]));
    body.insert("stream".to_owned(), false.into());
    body.insert("audio_config".to_owned(), audio.into());
    for (key, name) in BESIDE {
        body.extend(given(key).map(|value| (name.to_owned(), value)));
    }
    if let Some(Value::Object(extra)) = given("extra") {
        for (key, value) in extra {
            body.entry(key).or_insert(value);
        }
    }
    body
}
