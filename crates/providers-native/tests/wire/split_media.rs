//! Media in split mode: speech and music in one exchange, the rest as jobs.

use std::collections::HashMap;
use std::sync::Mutex;

use ag_providers::media::{
    ImageRequest, MediaFile, MusicRequest, SpeechRequest, TranscribeRequest, VideoRequest,
};
use ag_providers::{Object, ProviderError};
use ag_providers_http::testkit::{Reply, Server};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client;

const PNG: &str = "iVBORw0KGgo=";

fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

fn file(name: &str) -> MediaFile {
    MediaFile {
        filename: name.to_owned(),
        content_type: "image/png".to_owned(),
        data: bytes::Bytes::from_static(b"PNGDATA"),
    }
}

fn raw(seen: &ag_providers_http::testkit::Seen) -> String {
    String::from_utf8_lossy(&seen.raw).into_owned()
}

#[tokio::test]
async fn sounds_come_at_once() {
    let replies = vec![
        Reply::Raw("audio/wav", b"RIFFxxxx".to_vec()),
        Reply::json(json!({"text": "hello"})),
        Reply::Raw("audio/wav; codecs=1", b"RIFFmusic".to_vec()),
    ];
    let server = Server::start(None, replies).await;
    let vars = [
        ("ABSTRACTCORE_SERVER_BASE_URL", server.base.as_str()),
        ("ABSTRACTCORE_AUTH_TOKEN", "server-token"),
    ];
    let client = client(&vars, "openai").await;
    let cancel = CancellationToken::new;
    let speak = SpeechRequest {
        model: "tts-1".to_owned(),
        input: "hi".to_owned(),
        voice: "alloy".to_owned(),
        format: "wav".to_owned(),
        options: object(json!({"quality_preset": "high"})),
        idempotency_key: Some("r/n/1".to_owned()),
        ..SpeechRequest::default()
    };
    let speech = client
        .speech
        .as_ref()
        .expect("speech")
        .speak(speak, cancel())
        .await
        .expect("sound");
    assert_eq!(
        (&speech.data[..], speech.content_type.as_str()),
        (&b"RIFFxxxx"[..], "audio/wav")
    );
    let sent = &server.posts()[0];
    assert_eq!(sent.path, "/openai/v1/audio/speech");
    assert_eq!(sent.headers["authorization"], "Bearer server-token");
    assert_eq!(sent.headers["idempotency-key"], "r/n/1");
    assert_eq!(
        sent.body,
        json!({"input": "hi", "response_format": "wav", "format": "wav", "model": "tts-1", "voice": "alloy",
            "quality_preset": "high"})
    );
    let listen = TranscribeRequest {
        model: "w".to_owned(),
        file: file("a.wav"),
        language: Some("fr".to_owned()),
        ..TranscribeRequest::default()
    };
    let port = client.transcriber.as_ref().expect("transcriber");
    assert_eq!(
        port.transcribe(listen, cancel()).await.expect("text").text,
        "hello"
    );
    let sent = &server.posts()[1];
    assert_eq!(sent.path, "/openai/v1/audio/transcriptions");
    assert!(raw(sent).contains("name=\"language\"") && raw(sent).contains("filename=\"a.wav\""));
    let music = MusicRequest {
        model: "m".to_owned(),
        task: "text_to_music".to_owned(),
        prompt: "calm".to_owned(),
        format: "wav".to_owned(),
        options: object(json!({"duration_s": 3.0})),
        ..MusicRequest::default()
    };
    let made = client
        .music
        .as_ref()
        .expect("music")
        .music(music, cancel())
        .await
        .expect("music");
    assert_eq!(
        (&made.data[..], made.content_type.as_str()),
        (&b"RIFFmusic"[..], "audio/wav")
    );
    let sent = &server.posts()[2];
    assert_eq!(sent.path, "/v1/audio/music");
    assert_eq!(
        sent.body,
        json!({"prompt": "calm", "task": "text_to_music", "format": "wav", "provider": "openai",
            "model": "openai-compatible/m", "duration_s": 3.0})
    );
}

#[tokio::test]
async fn pictures_and_videos_are_jobs() {
    let job = |progress: Value| json!({"state": "succeeded", "progress": progress, "result": {"data": [{"b64_json": PNG}]}});
    let gets = HashMap::from([
        (
            "/v1/vision/jobs/j1".to_owned(),
            job(json!({"step": 20, "total_steps": 20, "eta_s": null})),
        ),
        (
            "/v1/vision/jobs/j2".to_owned(),
            json!({"state": "failed", "error": "no weights"}),
        ),
    ]);
    let server = Server::with_gets(gets.clone(), vec![Reply::json(json!({"job_id": "j1"}))]).await;
    let failing = Server::with_gets(gets, vec![Reply::json(json!({"job_id": "j2"}))]).await;
    let silent = Server::start(None, vec![Reply::json(json!({"ok": true}))]).await;
    let of = async |server: &Server| {
        client(
            &[("ABSTRACTCORE_SERVER_BASE_URL", server.base.as_str())],
            "huggingface",
        )
        .await
    };
    let (good, bad, mute) = (of(&server).await, of(&failing).await, of(&silent).await);
    let reports = Mutex::new(Vec::new());
    let note = |report: Object| reports.lock().expect("lock").push(Value::Object(report));
    let make = ImageRequest {
        model: "qwen".to_owned(),
        prompt: "a cat".to_owned(),
        count: 2,
        options: object(json!({"seed": 3, "lora_adapters": [{"path": "x"}]})),
        ..ImageRequest::default()
    };
    let edit = ImageRequest {
        images: vec![file("a.png")],
        mask: Some(file("m.png")),
        options: object(json!({"seeds": [1, 2], "lora_adapters": [{"path": "x"}], "extra": {"a": 1}})),
        ..make.clone()
    };
    let video = VideoRequest {
        prompt: "waves".to_owned(),
        image: Some(file("a.png")),
        options: object(json!({"fps": 24})),
        ..VideoRequest::default()
    };
    let cancel = CancellationToken::new;
    let images = good.images.as_ref().expect("images");
    let bad_images = bad.images.as_ref().expect("images");
    let mute_images = mute.images.as_ref().expect("images");
    let (made, edited, filmed, failed, lost) = tokio::join!(
        images.image(make.clone(), &note, cancel()),
        images.image(edit, &|_| {}, cancel()),
        good.videos
            .as_ref()
            .expect("videos")
            .video(video, &|_| {}, cancel()),
        bad_images.image(make.clone(), &|_| {}, cancel()),
        mute_images.image(make, &|_| {}, cancel()),
    );
    let made = made.expect("picture");
    assert_eq!((made.len(), made[0].content_type.as_str()), (1, "image/png"));
    assert_eq!(
        *reports.lock().expect("lock"),
        [json!({"step": 20, "total_steps": 20, "job_state": "succeeded"})]
    );
    assert_eq!(edited.expect("picture").len(), 1);
    assert_eq!(filmed.expect("video").len(), 1);
    assert_eq!(
        failed.expect_err("failed").to_string(),
        "Remote image generation failed: no weights"
    );
    assert_eq!(
        lost.expect_err("lost").to_string(),
        "Remote image generation job did not return job_id."
    );
    let posts = server.posts();
    let sent = |path: &str| posts.iter().find(|seen| seen.path == path).expect(path);
    assert_eq!(
        sent("/v1/vision/jobs/images/generations").body,
        json!({"prompt": "a cat", "response_format": "b64_json", "n": 2, "provider": "huggingface", "model": "qwen",
            "seed": 3, "lora_adapters": [{"path": "x"}]})
    );
    let form = raw(sent("/v1/vision/jobs/images/edits"));
    for part in [
        "name=\"image\"; filename=\"a.png\"",
        "name=\"mask\"; filename=\"m.png\"",
        "name=\"lora_adapters_json\"\r\n\r\n[{\"path\":\"x\"}]",
        "name=\"extra_json\"\r\n\r\n{\"a\":1}",
        "name=\"seeds\"\r\n\r\n1,2",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(raw(sent("/v1/vision/jobs/videos/edits")).contains("name=\"fps\"\r\n\r\n24"));
    let polls = server.seen();
    assert!(
        polls
            .iter()
            .any(|seen| seen.path == "/v1/vision/jobs/j1?consume=true")
    );
}

#[tokio::test]
async fn a_cancelled_job_is_asked_no_more() {
    let gets = HashMap::from([("/v1/vision/jobs/j1".to_owned(), json!({"state": "running"}))]);
    let server = Server::with_gets(gets, vec![Reply::json(json!({"job_id": "j1"}))]).await;
    let client = client(
        &[("ABSTRACTCORE_SERVER_BASE_URL", server.base.as_str())],
        "huggingface",
    )
    .await;
    let cancel = CancellationToken::new();
    let port = client.images.as_ref().expect("images");
    let make = ImageRequest {
        prompt: "a cat".to_owned(),
        ..ImageRequest::default()
    };
    let stop = cancel.clone();
    let (made, ()) = tokio::join!(port.image(make, &|_| {}, cancel), async {
        while server.posts().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    assert!(matches!(made, Err(ProviderError::Cancelled)), "{made:?}");
}
