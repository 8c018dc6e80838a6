use serde_json::{Value, json};

use crate::routes::testing::{Keys, modelled};

const ALL: &str = "/api/gateway/blocs";

#[tokio::test]
async fn texts_by_content() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let upsert = |path: &'static str, content: &'static str| {
        let node = &node;
        async move {
            let body = json!({"path": path, "content": content, "unknown": 1});
            node.post(&format!("{ALL}/upsert_text"), &body).await.json()
        }
    };
    let first = upsert("a/b.txt", "Hello world").await;
    let record = &first["record"];
    assert_eq!(
        (
            &record["bloc_id"],
            &record["filename"],
            &record["content_length"],
            &record["summary"]
        ),
        (&json!(1), &json!("b.txt"), &json!(11), &json!("Hello world"))
    );
    assert_eq!(
        record["sha256"],
        "64ec88ca00b268e5ba1a35678a1b5316d212f4f366b2477232534a8aeca37f3c"
    );
    assert_eq!(
        (&first["operation"], &first["route_available"]),
        (&json!("upsert_text"), &json!(true))
    );
    let again = node
        .post(
            &format!("{ALL}/upsert_text"),
            &json!({"path": "a/b.txt", "content": "Hello world", "summary": "S", "relpath_base": "a"}),
        )
        .await
        .json();
    assert_eq!(
        (
            &again["record"]["bloc_id"],
            &again["record"]["summary"],
            &again["record"]["relpath"]
        ),
        (&json!(1), &json!("S"), &json!("b.txt"))
    );
    assert_eq!(upsert("a/b.txt", "Other").await["record"]["bloc_id"], 2);
    assert_eq!(
        node.get(ALL).await.json()["records"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        node.get(&format!("{ALL}?bloc_id=2")).await.json()["records"][0]["bloc_id"],
        2
    );
    let found = node.get(&format!("{ALL}/record?bloc_id=1")).await.json();
    assert_eq!(found["record"]["summary"], "S");
    for (query, code, error) in [
        ("", "invalid_request", "provide sha256 or bloc_id"),
        ("?sha256=ffff", "not_found", "bloc not found for sha256=ffff"),
        ("?bloc_id=99", "not_found", "bloc not found for bloc_id=99"),
    ] {
        let answer = node.get(&format!("{ALL}/record{query}")).await.json();
        assert_eq!((&answer["code"], &answer["error"]), (&json!(code), &json!(error)));
    }
    let dry = node
        .post(&format!("{ALL}/delete"), &json!({"bloc_id": 1, "dry_run": true}))
        .await
        .json();
    assert_eq!(
        (&dry["result"]["deleted"], &dry["result"]["dry_run"]),
        (&json!(false), &json!(true))
    );
    let gone = node
        .post(&format!("{ALL}/delete"), &json!({"bloc_id": 1}))
        .await
        .json();
    assert_eq!(gone["result"]["deleted"], true);
    let again = node
        .post(&format!("{ALL}/delete"), &json!({"bloc_id": 1}))
        .await
        .json();
    assert_eq!(again["code"], "bloc_error");
    assert_eq!(
        node.get(ALL).await.json()["records"].as_array().map(Vec::len),
        Some(1)
    );
    let bad = node
        .post(&format!("{ALL}/delete"), &json!({"bloc_id": "x"}))
        .await;
    assert_eq!(
        (bad.status.as_u16(), &bad.json()["detail"][0]["type"]),
        (422, &json!("int_parsing"))
    );
}

#[tokio::test]
async fn nothing_is_compiled_here() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let stored = node
        .post(
            &format!("{ALL}/upsert_text"),
            &json!({"path": "p", "content": "c"}),
        )
        .await
        .json();
    let sha = stored["record"]["sha256"].as_str().expect("hash").to_owned();
    let of = json!({"bloc_id": 1, "provider": "openai-compatible", "model": "m"});
    let cases: [(&str, Value, Value); 6] = [
        (
            "kv/ensure",
            of.clone(),
            json!(
                "Bloc KV compilation requires prompt-cache operation(s): update, save (provider=openai-compatible)."
            ),
        ),
        (
            "kv/load",
            of.clone(),
            json!("Bloc KV loading requires prompt-cache operation(s): load (provider=openai-compatible)."),
        ),
        ("kv/delete", of.clone(), json!("bloc not found for bloc_id=1")),
        ("kv/prune", of, Value::Null),
        ("kv/ensure", json!({}), json!("provide sha256 or bloc_id")),
        ("kv/delete", json!({}), json!("bloc not found for bloc_id=None")),
    ];
    for (path, body, error) in cases {
        let answer = node.post(&format!("{ALL}/{path}"), &body).await.json();
        assert_eq!(answer["error"], error, "{path}");
        assert_eq!(answer["ok"], error.is_null(), "{path}");
    }
    let manifest = node.get(&format!("{ALL}/kv/manifest?bloc_id=1")).await.json();
    assert_eq!(manifest["error"], format!("bloc not found for sha256={sha}"));
    assert_eq!(
        node.get(&format!("{ALL}/kv/list")).await.json()["artifacts"],
        json!([])
    );
}
