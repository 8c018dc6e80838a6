use serde_json::{Value, json};

use crate::routes::testing::{Keys, modelled};

const ALL: &str = "/api/gateway/prompt_cache";

fn model(provider: &str, more: Value) -> Value {
    let mut body = json!({"provider": provider, "model": "m"});
    for (key, value) in more.as_object().expect("object") {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_provider_that_takes_keys() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let of = "provider=openai-compatible&model=m";
    let caps = node.get(&format!("{ALL}/capabilities?{of}")).await.json();
    assert_eq!(
        (
            &caps["supported"],
            &caps["capabilities"]["mode"],
            &caps["capabilities"]["supports_update"]
        ),
        (&json!(true), &json!("keyed"), &json!(false))
    );
    let set = node
        .post(
            &format!("{ALL}/set"),
            &model("openai-compatible", json!({"key": "k1"})),
        )
        .await
        .json();
    assert_eq!((&set["ok"], &set["operation"]), (&json!(true), &json!("set")));
    let stats = node.get(&format!("{ALL}/stats?{of}")).await.json();
    assert_eq!(stats["stats"]["default_key"], "k1");
    let clear = node
        .post(
            &format!("{ALL}/clear"),
            &model("openai-compatible", json!({"key": "k1"})),
        )
        .await
        .json();
    assert_eq!(
        (&clear["code"], &clear["error"]),
        (
            &json!("prompt_cache_missing_key"),
            &json!("Prompt cache key 'k1' does not exist.")
        )
    );
    let stats = node.get(&format!("{ALL}/stats?{of}")).await.json();
    assert_eq!(stats["stats"]["default_key"], Value::Null);
    for (operation, named, fields) in [
        ("update", "update", json!({"key": "k"})),
        ("fork", "fork", json!({"from_key": "a", "to_key": "b"})),
        (
            "prepare_modules",
            "prepare_modules",
            json!({"namespace": "n", "modules": [{}]}),
        ),
        ("save", "export", json!({"name": "n", "key": "k"})),
        ("load", "import", json!({"name": "n"})),
    ] {
        let answer = node
            .post(&format!("{ALL}/{operation}"), &model("openai-compatible", fields))
            .await
            .json();
        assert_eq!(
            (&answer["code"], &answer["operation"]),
            (&json!("prompt_cache_unsupported"), &json!(named)),
            "{operation}"
        );
    }
    let saved = node.get(&format!("{ALL}/saved?{of}")).await.json();
    assert_eq!((&saved["items"], &saved["ok"]), (&json!([]), &json!(true)));
    assert_eq!(
        node.post(&format!("{ALL}/set"), &json!({"provider": "x"}))
            .await
            .status
            .as_u16(),
        422
    );
    let unknown = node
        .get(&format!("{ALL}/stats?provider=nope&model=m"))
        .await
        .json();
    assert_eq!(unknown["code"], "prompt_cache_error");
}

#[tokio::test]
async fn a_session_s_key() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let path = "/api/gateway/sessions/s1/prompt_cache";
    let status = node
        .get(&format!(
            "{path}/status?provider=openai-compatible&model=m&bundle_id=b"
        ))
        .await
        .json();
    let key = status["prompt_cache_key"].as_str().expect("key").to_owned();
    assert!(
        key.starts_with("agw.pc.v1.s-s1.b-b.v-latest.f-flow.t-template.p-openai-compatible.m-m.h-"),
        "{key}"
    );
    assert_eq!(status["runtime_hint"]["_runtime"]["prompt_cache"]["key"], key);
    let body = model(
        "openai-compatible",
        json!({"bundle_id": "b", "make_default": true}),
    );
    let prepared = node.post(&format!("{path}/prepare"), &body).await.json();
    assert_eq!(
        (
            &prepared["code"],
            &prepared["prepared"],
            &prepared["prompt_cache_key"]
        ),
        (&json!("prompt_cache_key_hint_only"), &json!(false), &json!(key))
    );
    let status = node
        .get(&format!(
            "{path}/status?provider=openai-compatible&model=m&bundle_id=b"
        ))
        .await
        .json();
    assert_eq!(status["stats"]["default_key"], key);
    let rebuilt = node.post(&format!("{path}/rebuild"), &body).await.json();
    assert_eq!(
        (
            &rebuilt["operation"],
            &rebuilt["clear_result"]["code"],
            &rebuilt["prepare_result"]["ok"]
        ),
        (
            &json!("rebuild"),
            &json!("prompt_cache_missing_key"),
            &json!(true)
        )
    );
    let unusable = node
        .post(&format!("{path}/clear"), &model("nope", json!({})))
        .await
        .json();
    assert_eq!(
        (&unusable["mode"], &unusable["code"]),
        (&json!("unsupported"), &json!("prompt_cache_clear_unsupported"))
    );
    let many: Vec<Value> = vec![json!({}); 13];
    let refused = node
        .post(
            &format!("{path}/prepare"),
            &model("openai-compatible", json!({"modules": many})),
        )
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()),
        (400, json!({"detail": "modules must contain at most 12 items"}))
    );
    let blank = node.get(&format!("{path}/status?provider=&model=m")).await;
    assert_eq!(
        (blank.status.as_u16(), blank.json()),
        (400, json!({"detail": "provider is required"}))
    );
}
