//! Recorded listing, texts and soft failures.

use std::sync::Arc;

use ag_kernel::Outcome;
use ag_providers::ModelResidency as Port;
use ag_types::EffectKind;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::test_kit::{TestDirectory, World, request};

/// Has `there` in memory; loads anything but `broken`.
struct Server;

#[async_trait]
impl Port for Server {
    async fn loaded(&self, _: CancellationToken) -> Result<Vec<LoadedModel>, ProviderError> {
        Ok(vec![LoadedModel {
            model: "there".to_owned(),
            instance_id: None,
            loaded: true,
        }])
    }
    async fn load(&self, model: &str, _: CancellationToken) -> Result<LoadedModel, ProviderError> {
        Ok(LoadedModel {
            model: model.to_owned(),
            instance_id: None,
            loaded: model != "broken",
        })
    }
    async fn unload(&self, model: &str, _: CancellationToken) -> Result<Option<LoadedModel>, ProviderError> {
        Ok((model == "there").then(LoadedModel::default))
    }
}

fn world(server: bool) -> World {
    let residency: Option<Arc<dyn Port>> = if server { Some(Arc::new(Server)) } else { None };
    World::with(TestDirectory {
        residency,
        ..TestDirectory::default()
    })
}

async fn outcome(world: &World, payload: Value) -> Outcome {
    let handler = ModelResidency::new(world.resolver());
    handler
        .handle(&world.ctx(), &request(EffectKind::ModelResidency, payload))
        .await
        .outcome
}

async fn run(world: &World, payload: Value) -> Value {
    match outcome(world, payload).await {
        Outcome::Done { result, .. } => result,
        other => panic!("not done: {other:?}"),
    }
}

async fn with_default(server: bool, model: &str) -> World {
    let world = world(server);
    let body = json!({"provider": "openai-compatible", "model": model});
    world
        .routes()
        .set(&world.scope, "input.text", &body)
        .await
        .expect("set");
    world
}

#[tokio::test]
async fn the_recorded_listing() {
    let world = with_default(false, "gpt-4o-mini").await;
    let result = run(&world, json!({"operation": "list_loaded"})).await;
    let common = json!({
        "cache_state": "runtime_client_cached", "loaded": false, "model": "gpt-4o-mini",
        "provider": "openai-compatible", "provider_residency_source": "abstractcore.provider",
        "provider_residency_verified": false, "provider_resident": null,
        "provider_state": "provider_residency_unknown", "resident": false, "runtime_cached": true,
        "runtime_id": "local:text_generation:openai-compatible:gpt-4o-mini",
        "state": "provider_residency_unknown", "task": "text_generation",
    });
    let join = |extra: Value| {
        let mut row = common.clone();
        row.as_object_mut()
            .expect("object")
            .extend(extra.as_object().expect("object").clone());
        row
    };
    let expected = json!({
        "affected_models": [join(json!({"action": "listed", "changed": false, "operation": "list_loaded"}))],
        "diagnostics": {
            "count": 1,
            "source": "abstractruntime.multilocal",
            "task_counts": {
                "image_generation": 0, "image_to_image": 0, "image_to_video": 0, "image_upscale": 0,
                "music_generation": 0, "stt": 0, "text_generation": 1, "text_to_audio": 0, "text_to_video": 0,
                "tts": 0, "video_generation": 0,
            },
            "task_errors": {
                "image_to_video": "Unsupported local capability residency task: 'image_to_video'",
                "image_upscale": "Unsupported local capability residency task: 'image_upscale'",
                "music_generation": "Local music capability does not expose loaded-model listing.",
                "text_to_audio": "Unsupported local capability residency task: 'text_to_audio'",
                "text_to_video": "Unsupported local capability residency task: 'text_to_video'",
                "video_generation": "Unsupported local capability residency task: 'video_generation'",
            },
        },
        "models": [join(json!({
            "default": true, "isolation": "in_process", "pinned": true, "source": "abstractruntime.local",
            "warnings": ["Provider does not expose verified model residency."],
        }))],
        "ok": true, "operation": "list_loaded", "success": true, "supported": true,
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn listings_show_what_servers_hold() {
    let world = with_default(true, "other").await;
    let result = run(&world, json!({"operation": "loaded"})).await;
    let states: Vec<_> = result["models"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["model"].clone(), row["state"].clone()))
        .collect();
    assert_eq!(
        states,
        [
            (json!("other"), json!("provider_not_loaded")),
            (json!("there"), json!("provider_loaded"))
        ]
    );
    let tts = run(&world, json!({"operation": "list", "task": "tts"})).await;
    assert_eq!(
        (&tts["models"], &tts["diagnostics"]["count"]),
        (&json!([]), &json!(0))
    );
    let nothing = run(&super::tests::world(false), json!({})).await;
    assert_eq!((&nothing["ok"], &nothing["models"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn soft_failures_and_their_texts() {
    let hosted = with_default(false, "m").await;
    let server = with_default(true, "m").await;
    let cases = [
        (
            &hosted,
            json!({"operation": "bounce"}),
            "bounce",
            "Unsupported model_residency operation: 'bounce'",
        ),
        (
            &hosted,
            json!({"operation": "load"}),
            "load",
            "model_residency load requires payload.task",
        ),
        (
            &hosted,
            json!({"operation": "warm", "task": "text_generation"}),
            "load",
            "AbstractCore provider does not expose load_model(model_name).",
        ),
        (
            &server,
            json!({"operation": "load", "task": "text_generation", "provider": "ollama", "model": "broken"}),
            "load",
            "model_residency load did not verify loaded provider residency",
        ),
        (
            &hosted,
            json!({"operation": "unload"}),
            "unload",
            "model_residency unload requires runtime_id or provider/model",
        ),
        (
            &hosted,
            json!({"operation": "evict", "provider": "openai", "model": "m"}),
            "unload",
            "model_residency unload did not verify unloaded provider residency",
        ),
    ];
    for (world, payload, operation, error) in cases {
        let expected = json!({"ok": false, "success": false, "operation": operation, "error": error,
            "warnings": [error], "status_hint": "warning", "degraded": true, "affected_models": []});
        assert_eq!(run(world, payload.clone()).await, expected);
        let mut required = payload;
        required["required"] = json!(true);
        assert_eq!(outcome(world, required).await, Outcome::Failed(error.to_owned()));
    }
}

#[tokio::test]
async fn loading_and_unloading() {
    let world = world(true);
    let load = json!({"operation": "preload", "task": "text_generation", "provider": "ollama", "model": "m", "provider_api_key": "k"});
    let loaded = run(&world, load).await;
    assert_eq!(
        (&loaded["ok"], &loaded["runtime"]["state"]),
        (&json!(true), &json!("provider_loaded"))
    );
    assert_eq!(loaded["affected_models"][0]["action"], "loaded");
    assert_eq!(world.directory.queries.lock()[0].api_key.as_deref(), Some("k"));
    let gone = run(
        &world,
        json!({"operation": "release", "runtime_id": "local:text_generation:ollama:there"}),
    )
    .await;
    assert_eq!(
        (&gone["ok"], &gone["unloaded"], gone.get("warnings")),
        (&json!(true), &json!(true), None)
    );
    let absent = run(
        &world,
        json!({"operation": "unload", "provider": "ollama", "model": "m"}),
    )
    .await;
    assert_eq!(
        (&absent["ok"], &absent["unloaded"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(absent["warnings"], json!(["Model 'm' was not loaded."]));
    assert_eq!(
        of_runtime_id("local:t:endpoint:a:m:1"),
        Some(("endpoint:a".to_owned(), "m:1".to_owned()))
    );
}
