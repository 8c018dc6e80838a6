//! Defaults, connections, the probe.

use serde_json::{Value, json};

use crate::routes::testing::{Keys, modelled, scripted};
use ag_providers::{EndpointOrigin, ProviderError, UpstreamFailure, fake::Step};
use ag_store::DocumentKind;

const DEFAULTS: &str = "/api/gateway/config/capability-defaults";
const PROFILES: &str = "/api/gateway/config/provider-endpoint-profiles";

fn row(answer: &Value, key: &str) -> Value {
    let rows = answer["routes"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["key"] == key).unwrap_or_default()
}

#[tokio::test]
async fn defaults_round_trip() {
    let (node, _) = modelled(Keys::Refused, |_| {});
    let fresh = node.get(DEFAULTS).await.json();
    assert_eq!(
        (&fresh["ok"], fresh["routes"].as_array().map(Vec::len)),
        (&json!(true), Some(22))
    );
    assert_eq!(row(&fresh, "output.text")["configured"], false);
    let body = json!({"provider": "openai-compatible", "model": "m", "base_url": "http://u/v1", "options": {"a": 1}});
    let set = node
        .call("PUT", &format!("{DEFAULTS}/output/text"), &body)
        .await
        .json();
    assert_eq!(row(&set, "input.text")["model"], "m", "output.text is input.text");
    assert_eq!(row(&set, "output.text")["base_url"], "http://u/v1");
    assert_eq!(node.get(DEFAULTS).await.json(), set);
    let task = node
        .call("PUT", &format!("{DEFAULTS}/output/image/text_to_image"), &body)
        .await
        .json();
    assert_eq!(row(&task, "output.image.text_to_image")["configured"], true);
    assert_eq!(row(&task, "output.image")["configured"], false);
    let cleared = node
        .bare("DELETE", &format!("{DEFAULTS}/output/image/text_to_image"))
        .await
        .json();
    assert_eq!(row(&cleared, "output.image.text_to_image")["configured"], false);
    for (method, path, detail) in [
        ("PUT", "foo/bar", "Failed to set capability default foo.bar"),
        ("DELETE", "foo/bar", "Failed to clear capability default foo.bar"),
        (
            "DELETE",
            "output/image/nope",
            "Failed to clear capability default output.image",
        ),
    ] {
        let answer = node.call(method, &format!("{DEFAULTS}/{path}"), &body).await;
        assert_eq!(answer.refusal(), (400, detail.to_owned()));
    }
    assert_eq!(
        node.call("PUT", &format!("{DEFAULTS}/output/text"), &json!({"options": 1}))
            .await
            .status
            .as_u16(),
        422
    );
    let listed = node.get("/api/gateway/discovery/providers").await.json();
    assert_eq!(
        (&listed["default_provider"], &listed["default_model"]),
        (&json!("openai-compatible"), &json!("m"))
    );
}

#[tokio::test]
async fn connections() {
    let (node, servers) = modelled(Keys::Sealed, |_| {});
    let body = json!({"id": "endpoint:t.1", "display_name": "T", "base_url": "http://t.example/v1///", "api_key": "sk-1"});
    let saved = node.post(PROFILES, &body).await.json();
    let profile = &saved["profile"];
    assert_eq!(
        (
            &profile["id"],
            &profile["virtual_provider"],
            &profile["base_url"],
            &profile["api_key_set"]
        ),
        (
            &json!("t.1"),
            &json!("endpoint:t.1"),
            &json!("http://t.example/v1"),
            &json!(true)
        )
    );
    // First digits of sha256("sk-1").
    assert_eq!(profile["api_key_fingerprint"].as_str().map(str::len), Some(16));
    let stored = node
        .store
        .document(&node.scope, DocumentKind::EndpointProfile, "t.1")
        .await;
    let stored = stored.expect("readable").expect("stored").body;
    let sealed: Value = serde_json::from_str(&stored).expect("JSON");
    let sealed = sealed["sealed_api_key"]
        .as_str()
        .expect("a sealed key")
        .to_owned();
    assert!(
        sealed.starts_with("v1.") && !stored.contains("sk-1"),
        "encrypted at rest"
    );
    assert!(
        !saved.to_string().contains("sk-1") && !saved.to_string().contains(&sealed),
        "neither the key nor its seal"
    );
    let kept = node
        .post(PROFILES, &json!({"id": "t.1", "display_name": "T2"}))
        .await
        .json();
    assert_eq!(
        (&kept["profile"]["api_key_set"], &kept["profile"]["base_url"]),
        (&json!(true), &Value::Null)
    );
    let off = node
        .call(
            "PUT",
            &format!("{PROFILES}/t.1"),
            &json!({"enabled": false, "base_url": "http://t"}),
        )
        .await
        .json();
    assert_eq!(
        (&off["profile"]["enabled"], &off["profile"]["display_name"]),
        (&json!(false), &json!("T2"))
    );
    let on = node
        .call(
            "PUT",
            &format!("{PROFILES}/endpoint:t.1"),
            &json!({"enabled": true}),
        )
        .await
        .json();
    assert_eq!(
        on["profile"]["enabled"], true,
        "a disabled connection can be enabled again"
    );
    let cases = [
        (
            "POST",
            PROFILES.to_owned(),
            json!({"id": "-x", "display_name": "x"}),
            400,
            "Endpoint profile id must start with a letter or number and contain only letters, numbers, dot, dash, or underscore.",
        ),
        (
            "POST",
            PROFILES.to_owned(),
            json!({"id": "x", "display_name": "x", "base_url": "ftp://x"}),
            400,
            "Base URL must be an http(s) URL.",
        ),
        (
            "POST",
            PROFILES.to_owned(),
            json!({"id": "x", "display_name": "x", "scope": "all"}),
            400,
            "Endpoint profile scope must be 'user' or 'gateway'.",
        ),
        (
            "POST",
            PROFILES.to_owned(),
            json!({"id": "", "display_name": "x"}),
            422,
            "",
        ),
        (
            "POST",
            PROFILES.to_owned(),
            json!({"id": "x", "display_name": "x", "more": 1}),
            422,
            "",
        ),
        (
            "PUT",
            format!("{PROFILES}/none"),
            json!({}),
            404,
            "Endpoint profile not found",
        ),
        (
            "DELETE",
            format!("{PROFILES}/none"),
            json!({}),
            404,
            "Endpoint profile not found",
        ),
    ];
    for (method, path, body, status, detail) in cases {
        assert_eq!(
            node.call(method, &path, &body).await.refusal(),
            (status, detail.to_owned()),
            "{method} {body}"
        );
    }

    servers.seen.lock().clear();
    let found = node
        .post(
            &format!("{PROFILES}/discover-models"),
            &json!({"profile_id": "t.1"}),
        )
        .await
        .json();
    assert_eq!(
        (&found["ok"], &found["provider"], &found["api_key_set"]),
        (&json!(true), &json!("endpoint:t.1"), &json!(true))
    );
    assert_eq!(found["models"].as_array().map(Vec::len), Some(4));
    let elsewhere = json!({"profile_id": "t.1", "base_url": "http://new.example"});
    node.post(&format!("{PROFILES}/discover-models"), &elsewhere)
        .await;
    let seen = servers.seen.lock().clone();
    let key = Some("sk-1".to_owned());
    assert_eq!(
        seen,
        [
            (
                "endpoint:t.1".to_owned(),
                "http://t".to_owned(),
                key.clone(),
                EndpointOrigin::Operator
            ),
            (
                "openai-compatible".to_owned(),
                "http://new.example".to_owned(),
                key,
                EndpointOrigin::Operator
            ),
        ]
    );
    let away = node
        .post(
            &format!("{PROFILES}/discover-models"),
            &json!({"provider_family": "vllm"}),
        )
        .await;
    assert_eq!((away.status.as_u16(), &away.json()["ok"]), (200, &json!(false)));
    assert_eq!(
        node.bare("DELETE", &format!("{PROFILES}/t.1")).await.json(),
        json!({"ok": true, "deleted": true, "profiles": []})
    );
}

#[tokio::test]
async fn keys_are_never_stored_in_clear() {
    let (node, _) = modelled(Keys::Refused, |_| {});
    let body = json!({"id": "t", "display_name": "T", "api_key": "sk-secret"});
    let (status, detail) = node.post(PROFILES, &body).await.refusal();
    assert_eq!(status, 501);
    assert!(detail.contains("encryption at rest") && !detail.contains("sk-secret"));
    assert_eq!(
        node.get(PROFILES).await.json()["profiles"],
        json!([]),
        "nothing was stored"
    );
    let without = node
        .post(PROFILES, &json!({"id": "t", "display_name": "T"}))
        .await;
    assert_eq!(without.status.as_u16(), 200);
}

#[tokio::test]
async fn the_probe() {
    let (node, servers) = modelled(Keys::Refused, |_| {});
    let path = "/api/gateway/sandbox/generate";
    let body = json!({"provider": "openai-compatible", "model": "m", "prompt": "hi", "system_prompt": "be brief",
        "messages": [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "before"}]});
    let answer = node.post(path, &body).await.json();
    assert_eq!(
        (&answer["response"], &answer["usage"]["prompt_tokens"]),
        (&json!("echo: hi"), &json!(11))
    );
    let asked = servers.chat.requests().pop().expect("asked");
    let roles: Vec<&str> = asked
        .messages
        .iter()
        .map(|message| message.role.as_str())
        .collect();
    assert_eq!(roles, ["system", "assistant", "user"]);
    assert_eq!(asked.params.temperature, Some(0.2));
    let unknown = node
        .post(path, &json!({"provider": "nope", "model": "m", "prompt": "hi"}))
        .await
        .refusal();
    assert_eq!(unknown.0, 502);
    assert!(
        unknown
            .1
            .starts_with("Unknown provider: nope. Available providers: openai, "),
        "{}",
        unknown.1
    );
    let music = node
        .post(
            path,
            &json!({"capability": "output.music", "provider": "p", "model": "m", "prompt": "hi"}),
        )
        .await;
    assert_eq!(music.refusal().0, 400);
    assert_eq!(
        node.post(path, &json!({"provider": "p", "model": "m", "prompt": ""}))
            .await
            .status
            .as_u16(),
        422
    );
    let failing = ProviderError::Api(UpstreamFailure {
        family: "OpenAI-compatible".to_owned(),
        status: 500,
        message: "boom".to_owned(),
        url: "http://h/v1".to_owned(),
        retry_after: None,
    });
    let (node, _) = scripted(Keys::Refused, vec![Step::fail(failing)], |_| {});
    let failed = node.post(path, &body).await;
    assert_eq!(
        failed.refusal(),
        (
            502,
            "OpenAI-compatible server API error (500): boom [http://h/v1]".to_owned()
        )
    );
}
