//! Providers, models, catalogues and the capability tree.

use serde_json::{Value, json};

use crate::{
    routes::{
        FAMILIES,
        testing::{Keys, modelled},
    },
    testkit::Node,
};

fn names(items: &Value, key: &str) -> Vec<String> {
    let items = items.as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item[key].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn providers_and_their_models() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let profile = json!({"id": "team", "display_name": "Team", "provider_family": "openai-compatible",
        "base_url": "http://team.example/v1/", "allowed_models": ["zeta", "gone"]});
    assert_eq!(
        node.post("/api/gateway/config/provider-endpoint-profiles", &profile)
            .await
            .status
            .as_u16(),
        200
    );
    let listed = node.get("/api/gateway/discovery/providers").await.json();
    assert_eq!(
        names(&listed["items"], "name"),
        [
            "anthropic",
            "huggingface",
            "lmstudio",
            "mlx",
            "ollama",
            "openai",
            "openai-compatible",
            "openrouter",
            "portkey",
            "vllm",
            "endpoint:team"
        ]
    );
    assert_eq!(
        (&listed["items"][6]["model_count"], &listed["items"][6]["status"]),
        (&json!("unknown"), &json!("available"))
    );
    assert_eq!(listed["catalog"]["include_models"], false);
    assert_eq!(
        listed["provider_endpoint_profiles"][0]["base_url"],
        "http://team.example/v1"
    );
    let full = node
        .get("/api/gateway/discovery/providers?include_models=true")
        .await
        .json();
    assert_eq!(
        full["items"].as_array().map(Vec::len),
        Some(11),
        "an unreachable provider stays in the list"
    );
    assert_eq!(
        (&full["items"][6]["model_count"], &full["items"][9]["status"]),
        (&json!(4), &json!("unavailable"))
    );

    let models = async |path: &str| {
        node.get(&format!("/api/gateway/discovery/providers/{path}"))
            .await
            .json()
    };
    let all = models("openai-compatible/models").await;
    assert_eq!(
        all["models"],
        json!(["gpt-4o", "text-embedding-3-small", "tts-1", "zeta"])
    );
    assert_eq!(
        (&all["available"], &all["items"][0]["provider"]),
        (&json!(true), &json!("openai-compatible"))
    );
    let text = models("openai-compatible/models?capability_route=output.text").await;
    assert!(!text["models"].to_string().contains("embedding"), "{text}");
    let vision = models("openai-compatible/models?input_type=image&capability_route=output.text").await;
    assert_eq!(vision["models"], json!(["gpt-4o"]));
    let stored = models("endpoint:team/models").await;
    assert_eq!(
        (&stored["models"], &stored["routed_provider"]),
        (&json!(["gone", "zeta"]), &json!("openai-compatible"))
    );
    assert_eq!(
        models("endpoint:team/models?capability_route=output.text").await["models"],
        json!(["zeta"])
    );
    for name in ["vllm", "nope", "endpoint:ghost"] {
        let away = models(&format!("{name}/models")).await;
        assert_eq!(
            (&away["models"], &away["available"]),
            (&json!([]), &json!(false)),
            "{name}"
        );
        assert!(away["error"].is_string());
    }
    let known = node
        .get("/api/gateway/discovery/models/capabilities?model_name=gpt-4o")
        .await
        .json();
    assert_eq!(
        (&known["model"], &known["capabilities"]["vision_support"]),
        (&json!("gpt-4o"), &json!(true))
    );
    assert_eq!(
        node.get("/api/gateway/discovery/models/capabilities")
            .await
            .status
            .as_u16(),
        422
    );
    assert_eq!(
        Node::new()
            .get("/api/gateway/discovery/providers")
            .await
            .status
            .as_u16(),
        503
    );
}

#[tokio::test]
async fn catalogues() {
    let (node, servers) = modelled(Keys::Refused, |_| {});
    let get = async |path: &str| {
        let answer = node.get(&format!("/api/gateway/{path}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
        answer.json()
    };
    for path in [
        "voice/voices",
        "audio/speech/models",
        "audio/transcriptions/models",
        "audio/music/providers",
        "audio/music/models",
        "vision/provider_models",
        "vision/models",
        "vision/adapters",
        "embeddings/models",
    ] {
        let empty = get(path).await;
        assert_eq!(
            (&empty["available"], &empty["items"]),
            (&json!(false), &json!([])),
            "{path}"
        );
        assert_eq!(empty["catalog"]["contract"], "gateway_catalog_v1", "{path}");
        assert!(empty["error"].is_string(), "{path}");
    }
    for (route, model) in [
        ("output/voice", "my-voice"),
        ("embedding/text", "text-embedding-3-small"),
    ] {
        let body =
            json!({"provider": "openai-compatible", "model": model, "base_url": "http://m.example/v1"});
        node.call(
            "PUT",
            &format!("/api/gateway/config/capability-defaults/{route}"),
            &body,
        )
        .await;
    }
    servers.seen.lock().clear();
    let speech = get("audio/speech/models").await;
    assert_eq!(
        names(&speech["items"], "model"),
        ["my-voice", "tts-1", "gpt-4o-mini-tts", "tts-1-hd"]
    );
    assert_eq!(
        (&speech["active_model"], &speech["catalog"]["scope"]),
        (&json!("my-voice"), &json!("tts"))
    );
    assert_eq!(
        servers.seen.lock()[0].1,
        "http://m.example/v1",
        "the default's own address is asked"
    );
    let only = get("audio/speech/models?providers_only=true").await;
    assert_eq!(
        (&only["catalog"]["kind"], names(&only["items"], "id")),
        (&json!("providers"), vec!["openai-compatible".to_owned()])
    );
    let voices = get("voice/voices?compact=true").await;
    assert_eq!(
        (voices["items"].as_array().map(Vec::len), voices.get("voices")),
        (Some(11), None)
    );
    assert_eq!(voices["items"][0]["voice_kind"], "voice");
    let embeddings = get("embeddings/models").await;
    assert_eq!(embeddings["embedding_models"], json!(["text-embedding-3-small"]));
    assert_eq!(
        embeddings["provider_models"][0]["id"],
        "openai-compatible/text-embedding-3-small"
    );
    let refused = node.get("/api/gateway/vision/provider_models?task=x").await;
    assert_eq!(
        refused.refusal(),
        (400, "task must be one of: text_to_image, image_to_image, image_upscale, text_to_video, image_to_video".to_owned())
    );
    assert_eq!(get("semantics").await["version"], 2);
    let tools = get("discovery/tools").await;
    assert_eq!(
        (tools["items"].as_array().map(Vec::len), &tools["tool_mode"]),
        (Some(12), &json!("approval"))
    );
}

#[tokio::test]
async fn the_capability_tree_announces_only_what_is_served() {
    let (node, _) = modelled(Keys::Refused, |_| {});
    let tree = node.get("/api/gateway/discovery/capabilities").await.json()["capabilities"].clone();
    let common = &tree["contracts"]["common"];
    assert_eq!(tree["contracts"]["version"], 1);
    for (family, name) in [
        ("runs", "start"),
        ("ledger", "stream"),
        ("artifacts", "search"),
        ("attachments", "upload"),
    ] {
        assert_eq!(common[family][name]["available"], true, "{family} {name}");
    }
    assert_eq!(
        tree["contracts"]["flow_editor"]["visualflows"]["publish"]["available"],
        true
    );
    assert_eq!(
        common["execution"]["code"]["contract"],
        "code_execution_policy_v1"
    );
    assert_eq!(tree["tools"]["count"], 12);
    let paths: Vec<&str> = FAMILIES
        .iter()
        .flat_map(|family| family.operations)
        .map(|operation| operation.path)
        .collect();
    fn check(value: &Value, paths: &[&str]) {
        if value["available"] == true
            && let Some(endpoint) = value["endpoint"].as_str()
        {
            assert!(paths.contains(&endpoint), "{endpoint} is announced");
        }
        match value {
            Value::Object(object) => object.values().for_each(|value| check(value, paths)),
            Value::Array(items) => items.iter().for_each(|value| check(value, paths)),
            _ => {}
        }
    }
    check(&tree, &paths);
}
