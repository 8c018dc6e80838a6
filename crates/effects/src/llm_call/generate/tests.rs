//! Media from scripted makers.

mod backends;

use std::sync::Arc;

use ag_artifacts::ArtifactMeta;
use ag_kernel::Outcome;
use ag_providers::fake::{FakeChat, FakeMedia, MediaAsked, Step};
use ag_types::EffectKind;
use serde_json::{Value, json};

use crate::llm_call::{LlmCall, LlmCallSettings};
use crate::test_kit::{TestDirectory, World, request};
use crate::{Answer, EffectHandler, Progress};

fn world_of(media: FakeMedia) -> (World, Arc<FakeMedia>) {
    let media = Arc::new(media);
    let world = World::with(TestDirectory {
        chat: Arc::new(FakeChat::new(vec![Step::text("words"), Step::text("more words")])),
        media: Some(media.clone()),
        ..TestDirectory::default()
    });
    (world, media)
}

async fn set(world: &World, key: &str, body: Value) {
    world.routes().set(&world.scope, key, &body).await.expect("set");
}

async fn answer(world: &World, payload: Value) -> Answer {
    let handler = LlmCall::new(world.resolver(), LlmCallSettings::default());
    let request = request(EffectKind::LlmCall, payload);
    handler.handle(&world.ctx(), &request).await
}

async fn done(world: &World, payload: Value) -> (Value, Vec<ArtifactMeta>) {
    let answer = answer(world, payload).await;
    let rows = answer.artifacts.iter();
    let metas = rows
        .map(|row| serde_json::from_str(&row.meta).expect("meta"))
        .collect();
    match answer.outcome {
        Outcome::Done { result, .. } => (result, metas),
        other => panic!("not done: {other:?}"),
    }
}

async fn failed(world: &World, payload: Value) -> String {
    match answer(world, payload).await.outcome {
        Outcome::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn a_picture_becomes_an_artifact_of_the_run() {
    let (world, media) = world_of(FakeMedia::default());
    let route =
        json!({"provider": "openai-compatible", "model": "fake-image", "options": {"quality": "low"}});
    set(&world, "output.image", route).await;
    let output = json!({"modality": "image", "task": "image_generation", "format": "png", "width": 64, "height": 32,
        "count": 2, "seed": 7});
    let (result, rows) = done(&world, json!({"prompt": "a square", "output": output})).await;
    let items = result["outputs"]["image"].as_array().expect("items");
    assert_eq!(items.len(), 2);
    assert_eq!(
        (
            &items[0]["provider"],
            &items[0]["model"],
            &items[0]["content_type"]
        ),
        (
            &json!("openai-compatible"),
            &json!("fake-image"),
            &json!("image/png")
        )
    );
    assert_eq!(
        (
            &result["content"],
            &result["text"],
            &result["tool_calls"],
            &result["usage"]
        ),
        (&json!(null), &json!(null), &json!([]), &json!(null))
    );
    assert_eq!(result["runtime_model"], "gpt-4o-mini");
    assert_eq!(rows.len(), 2);
    let meta = &rows[0];
    assert_eq!(items[0]["artifact_ref"]["$artifact"], meta.artifact_id.as_str());
    assert_eq!(meta.run_id, Some(world.run.head.run_id.to_string()));
    for (tag, value) in [
        ("kind", "generated_media"),
        ("source", "llm_call"),
        ("modality", "image"),
        ("task", "image_generation"),
        ("node_id", "llm"),
        ("session_id", "s1"),
        ("provider", "openai-compatible"),
        ("model", "fake-image"),
        ("effect_idempotency_key", "k"),
    ] {
        assert_eq!(meta.tag(tag), Some(value), "{tag}");
    }
    assert_eq!(meta.descriptor.semantic_kind, "image");
    assert_eq!(meta.descriptor.classification_source, "producer");
    assert_eq!(meta.descriptor.generation["prompt"], "a square");
    assert_eq!(meta.descriptor.producer["model"], "fake-image");
    let asked = media.asked();
    let [MediaAsked::Image(asked)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (
            asked.size.as_deref(),
            asked.quality.as_deref(),
            asked.count,
            asked.model.as_str()
        ),
        (Some("64x32"), Some("low"), 2, "fake-image")
    );
    assert_eq!(asked.idempotency_key.as_deref(), Some("run/llm/1"));
    assert_eq!(asked.options["seed"], 7);
}

#[tokio::test]
async fn speech_is_known_by_its_voice() {
    let (world, media) = world_of(FakeMedia::default());
    let route = json!({"provider": "openai-compatible", "model": "tts", "base_url": "http://there/v1",
        "options": {"voice": "nova"}});
    set(&world, "output.voice", route).await;
    for (spec, provider, model, asked_model, voice, address) in [
        (
            json!({}),
            "abstractvoice:default",
            json!(null),
            "tts",
            "nova",
            Some("http://there/v1"),
        ),
        (
            json!({"voice": "alloy"}),
            "abstractvoice:default",
            json!("alloy"),
            "tts",
            "alloy",
            Some("http://there/v1"),
        ),
        (
            json!({"provider": "openai", "model": "tts-1"}),
            "openai",
            json!("tts-1"),
            "tts-1",
            "alloy",
            None,
        ),
        (
            json!({"provider": "openai"}),
            "openai",
            json!(null),
            "gpt-4o-mini-tts",
            "alloy",
            None,
        ),
    ] {
        let mut output = json!({"modality": "voice", "task": "tts", "format": "mp3"});
        output
            .as_object_mut()
            .expect("object")
            .extend(spec.as_object().expect("object").clone());
        let (result, rows) = done(&world, json!({"prompt": "hello", "output": output})).await;
        assert_eq!(
            (&result["provider"], &result["model"]),
            (&json!(provider), &model),
            "{spec}"
        );
        assert_eq!(rows[0].content_type, "audio/mp3");
        assert_eq!(rows[0].filename(), Some("tts.mp3"));
        assert_eq!(rows[0].descriptor.generation["text"], "hello");
        let Some(MediaAsked::Speech(asked)) = media.asked().pop() else {
            panic!("no speech")
        };
        assert_eq!(
            (asked.model.as_str(), asked.voice.as_str()),
            (asked_model, voice),
            "{spec}"
        );
        let query = world.directory.queries.lock().pop().expect("query");
        assert_eq!(query.base_url.as_deref(), address, "{spec}");
    }
}

#[tokio::test]
async fn recordings_become_text() {
    let (world, media) = world_of(FakeMedia::default());
    set(
        &world,
        "input.voice",
        json!({"provider": "openai-compatible", "model": "stt"}),
    )
    .await;
    let id = world
        .artifact("audio/wav", &[("filename", "v.wav")], b"RIFF", "r")
        .await;
    let output = json!({"modality": "text", "task": "transcription", "language": "fr", "prompt": "names"});
    let payload = json!({"prompt": "Transcribe this audio.", "media": [{"$artifact": id, "type": "audio"}], "output": output});
    let (result, rows) = done(&world, payload).await;
    assert_eq!(
        (
            &result["content"],
            &result["text"]["content"],
            &result["model"],
            &result["provider"]
        ),
        (
            &json!("heard 4 bytes"),
            &json!("heard 4 bytes"),
            &json!("gpt-4o-mini"),
            &json!(null)
        )
    );
    assert_eq!((&result["outputs"], rows.len()), (&json!({}), 0));
    let Some(MediaAsked::Transcribe(asked)) = media.asked().pop() else {
        panic!("no request")
    };
    assert_eq!(
        (
            asked.model.as_str(),
            asked.language.as_deref(),
            asked.prompt.as_deref()
        ),
        ("stt", Some("fr"), Some("names"))
    );
    assert_eq!(
        (asked.file.filename.as_str(), asked.file.content_type.as_str()),
        ("v.wav", "audio/wav")
    );
}

#[tokio::test]
async fn sources_and_masks_reach_the_model() {
    let (world, media) = world_of(FakeMedia::default());
    let picture = world.artifact("image/png", &[], b"PNG", "r").await;
    let mask = world.artifact("image/png", &[], b"MASK", "r").await;
    let payload = |task: &str, modality: &str| {
        json!({"prompt": "p", "media": [
        {"$artifact": picture, "type": "image", "role": "source"}, {"$artifact": mask, "role": "mask"}],
        "output": {"modality": modality, "task": task, "provider": "vllm", "model": "m", "strength": 0.5}})
    };
    done(&world, payload("image_edit", "image")).await;
    done(&world, payload("image_upscale", "image")).await;
    done(&world, payload("image_to_video", "video")).await;
    let asked = media.asked();
    let MediaAsked::Image(edit) = &asked[0] else {
        panic!("{:?}", asked[0])
    };
    assert_eq!(
        (&edit.images[0].data[..], edit.strength),
        (&b"PNG"[..], Some(0.5))
    );
    assert_eq!(edit.mask.as_ref().map(|mask| &mask.data[..]), Some(&b"MASK"[..]));
    let MediaAsked::Upscale(upscale) = &asked[1] else {
        panic!("{:?}", asked[1])
    };
    assert_eq!(&upscale.image.data[..], b"PNG");
    assert!(
        upscale.image.filename.ends_with(".png"),
        "servers read the ending: {}",
        upscale.image.filename
    );
    let MediaAsked::Video(video) = &asked[2] else {
        panic!("{:?}", asked[2])
    };
    assert_eq!(
        video.image.as_ref().map(|image| &image.data[..]),
        Some(&b"PNG"[..])
    );
}

#[tokio::test]
async fn what_cannot_be_made_says_why() {
    let (world, _) = world_of(FakeMedia::default());
    let audio = world.artifact("audio/wav", &[], b"RIFF", "r").await;
    for (payload, error) in [
        (
            json!({"output": {"modality": "image"}}),
            "llm_call requires payload.prompt, payload.messages, payload.text, or media with payload.output",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "image", "task": "image_edit"}}),
            "Image edit requires one source image.",
        ),
        (
            json!({"prompt": "x", "media": [{"$artifact": "missing01"}], "output": {"modality": "image", "task": "image_edit"}}),
            "Artifact 'missing01' not found",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "video", "task": "image_to_video"}}),
            "Image-to-video requires one source image.",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "text", "task": "transcription"}}),
            "Transcription requires exactly one audio media item in v1.",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "video", "task": "text_to_video"}}),
            "Backend does not support task 'text_to_video'.",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "music", "provider": "openai-compatible"}}),
            "Backend does not support task 'music_generation'.",
        ),
        (
            json!({"prompt": "x", "output": {"modality": "image", "provider": "nope"}}),
            "Unknown provider: nope.",
        ),
        (
            json!({"prompt": "x", "media": "https://a.b/c.png", "output": {"modality": "image", "task": "image_edit"}}),
            "A linked source cannot be worked on",
        ),
    ] {
        let found = failed(&world, payload).await;
        assert!(found.starts_with(error), "{found}");
    }
    let both = json!({"prompt": "x", "media": [{"$artifact": audio}, {"$artifact": audio, "type": "audio"}],
        "output": {"task": "stt"}});
    assert!(
        failed(&world, both)
            .await
            .starts_with("Transcription requires exactly one")
    );
}

#[tokio::test]
async fn text_and_media_may_come_together() {
    let (world, media) = world_of(FakeMedia::default());
    let output = json!([{"modality": "text"}, {"modality": "image"}, {"modality": "smell"}]);
    let (result, rows) = done(&world, json!({"prompt": "both", "output": output})).await;
    assert_eq!(
        (&result["content"], rows.len(), media.asked().len()),
        (&json!("words"), 1, 1)
    );
    assert_eq!(result["outputs"]["image"].as_array().map(Vec::len), Some(1));
    let (result, rows) = done(
        &world,
        json!({"prompt": "words only", "output": {"modality": "smell"}}),
    )
    .await;
    assert_eq!((&result["content"], rows.len()), (&json!("more words"), 0));
    assert!(result.get("outputs").is_none());
}

#[tokio::test]
async fn an_artifact_may_belong_to_another_run() {
    let (world, _) = world_of(FakeMedia::default());
    let tags = json!({"source": "gateway_direct_image", "request_id": "q1", "kind": "generated_media"});
    let output = json!({"modality": "image", "run_id": "session_memory_s", "tags": tags});
    let (result, rows) = done(&world, json!({"prompt": "p", "output": output})).await;
    assert_eq!(rows[0].run_id.as_deref(), Some("session_memory_s"));
    assert_eq!(rows[0].tag("source"), Some("gateway_direct_image"));
    assert_eq!(
        rows[0].tag("run_id"),
        Some(world.run.head.run_id.to_string().as_str())
    );
    assert_eq!(rows[0].descriptor.provenance["request_id"], "q1");
    assert_eq!(
        result["outputs"]["image"][0]["artifact_id"],
        rows[0].artifact_id.as_str()
    );
}

#[tokio::test]
async fn progress_is_reported_with_what_it_is_about() {
    let (world, _) = world_of(FakeMedia::default());
    let handler = LlmCall::new(world.resolver(), LlmCallSettings::default());
    let spec = json!({"modality": "video", "task": "text_to_video", "provider": "vllm", "model": "m"});
    let media = request(EffectKind::LlmCall, json!({"prompt": "p", "output": spec}));
    assert!(handler.reports(&media));
    assert!(!handler.reports(&request(EffectKind::LlmCall, json!({"prompt": "p"}))));
    let (progress, mut reports) = Progress::channel();
    let ctx = crate::EffectCtx {
        progress,
        ..world.ctx()
    };
    handler.handle(&ctx, &media).await;
    let first = Value::Object(reports.try_recv().expect("report"));
    let about =
        json!({"step": 1, "total_steps": 2, "task": "text_to_video", "provider": "vllm", "model": "m"});
    assert_eq!(first, about);
    assert_eq!(reports.try_recv().expect("report")["step"], 2);
}

#[tokio::test]
async fn a_cancel_ends_the_call() {
    let (world, _) = world_of(FakeMedia::hanging());
    world.cancel.cancel();
    let error = failed(&world, json!({"prompt": "p", "output": {"modality": "image"}})).await;
    assert!(!error.is_empty());
}
