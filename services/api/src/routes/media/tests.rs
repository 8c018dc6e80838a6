//! What is refused before anything is made, and what a started call is. That calls end is seen with a runner, in the
//! end-to-end tests.

use serde_json::{Value, json};

use crate::{
    routes::testing::form,
    testkit::{Node, Seed},
};

async fn attach(node: &Node, session: &str, name: &str, kind: &str) -> Value {
    let upload = form(
        "/api/gateway/attachments/upload",
        &[("session_id", session)],
        Some((name, kind, name.as_bytes())),
    );
    node.send(upload).await.json()["artifact"].clone()
}

#[tokio::test]
async fn bad_requests_start_nothing() {
    let node = Node::with(|_| {});
    let seed = Seed {
        session: Some("s".to_owned()),
        ..Seed::default()
    };
    let run = node.store_run(seed).await;
    let image = attach(&node, "s", "a.png", "image/png").await;
    let foreign = attach(&node, "other", "b.png", "image/png").await;
    for (path, body, status, detail) in [
        ("voice/tts", json!({"text": "  "}), 400, "text is required"),
        (
            "images/generate",
            json!({"prompt": " "}),
            400,
            "prompt is required",
        ),
        (
            "images/generate",
            json!({"prompt": "x", "n": 2, "count": 3}),
            400,
            "count and n must match when both are provided.",
        ),
        (
            "images/edit",
            json!({"prompt": "x", "image_artifact": {"$artifact": "zz"}}),
            404,
            "image_artifact not found",
        ),
        (
            "images/edit",
            json!({"prompt": "x", "image_artifact": foreign}),
            404,
            "image_artifact not found",
        ),
        (
            "images/edit",
            json!({"prompt": "x", "image_artifact": image, "mask_artifact": {}}),
            400,
            "mask_artifact must be an artifact ref dict like {'$artifact': '...'}",
        ),
        (
            "audio/transcribe",
            json!({"audio_artifact": image}),
            400,
            "audio_artifact must be audio/* (got 'image/png')",
        ),
        (
            "videos/from_image",
            json!({"prompt": "x", "image_artifact": {"a": 1}}),
            400,
            "image_artifact must be an artifact ref dict like {'$artifact': '...'}",
        ),
        (
            "music/generate",
            json!({"prompt": "x", "task": "bogus"}),
            400,
            "task must be one of text_to_music, text_to_audio, or lyrics_to_music",
        ),
    ] {
        let answer = node.post(&format!("/api/gateway/runs/{run}/{path}"), &body).await;
        assert_eq!(answer.refusal(), (status, detail.to_owned()), "{path} {body}");
    }
    for (path, body, field) in [
        ("voice/tts", json!({}), json!(["body", "text"])),
        (
            "images/generate",
            json!({"prompt": "x", "n": 65}),
            json!(["body", "n"]),
        ),
        (
            "images/upscale",
            json!({"image_artifact": image, "resolution": 20_000}),
            json!(["body", "resolution"]),
        ),
        (
            "videos/generate",
            json!({"prompt": "x", "duration_s": 0}),
            json!(["body", "duration_s"]),
        ),
        (
            "music/generate",
            json!({"prompt": "x", "music_backend": "y"}),
            json!(["body"]),
        ),
    ] {
        let answer = node.post(&format!("/api/gateway/runs/{run}/{path}"), &body).await;
        assert_eq!(answer.status.as_u16(), 422, "{path}: {}", answer.text());
        assert_eq!(answer.json()["detail"][0]["loc"], field, "{path}");
    }
    let unknown = node
        .post("/api/gateway/runs/nope/voice/tts", &json!({"text": "x"}))
        .await;
    assert_eq!(unknown.refusal(), (404, "Run 'nope' not found".to_owned()));
    let runs = node.get("/api/gateway/runs").await.json();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs}");
}

#[tokio::test]
async fn large_images_are_refused() {
    let node = Node::with(|config| {
        config.providers =
            serde_json::from_value(json!({"ABSTRACTGATEWAY_IMAGE_MAX_BYTES": "3"})).expect("section");
    });
    let seed = Seed {
        session: Some("s".to_owned()),
        ..Seed::default()
    };
    let run = node.store_run(seed).await;
    let image = attach(&node, "s", "a.png", "image/png").await;
    let body = json!({"prompt": "x", "image_artifact": image});
    let answer = node
        .post(&format!("/api/gateway/runs/{run}/images/edit"), &body)
        .await;
    assert_eq!(
        answer.refusal(),
        (413, "image_artifact too large (5 bytes > 3 bytes)".to_owned())
    );
}

#[tokio::test]
async fn a_call_outlives_its_client() {
    let node = Node::new();
    let seed = Seed {
        session: Some("s".to_owned()),
        vars: json!({"_runtime": {"provider": "p", "model": "m", "control": {"paused": true}}}),
        ..Seed::default()
    };
    let run = node.store_run(seed).await;
    let path = format!("/api/gateway/runs/{run}/images/generate");
    let body = json!({"prompt": "x", "image_model": "im", "model": "t", "seed": 4, "request_id": "q"});
    // Nobody executes runs here: the client gives up, the run is there.
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), node.post(&path, &body)).await;
    assert!(waited.is_err(), "the answer waits for the run");
    let runs = node.get("/api/gateway/runs").await.json();
    let child = runs["items"]
        .as_array()
        .and_then(|items| items.iter().find(|item| item["parent_run_id"] == run.to_string()))
        .cloned()
        .expect("child");
    assert_eq!(
        (&child["workflow_id"], &child["session_id"], &child["status"]),
        (
            &json!("wf_abstractcore_run_facade_image_generation"),
            &json!("s"),
            &json!("running")
        )
    );
}
