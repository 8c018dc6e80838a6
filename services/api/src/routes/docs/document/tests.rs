//! The tables against the contract.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::*;
use crate::testkit::Node;

/// Operations of the contract that this build does not serve yet. The list may only shrink.
const MISSING: &str = include_str!("../../../../contract/missing.txt");

/// What this gateway serves beyond the contract's list, with the reason.
const BEYOND: [(&str, &str); 8] = [
    ("GET /", "named in the contract's text"),
    ("GET /console", "named in the contract's text"),
    ("GET /api/health", "named in the contract's text"),
    ("GET /openapi.json", "named in the contract's text"),
    ("GET /docs", "named in the contract's text"),
    ("GET /redoc", "named in the contract's text"),
    (
        "GET /api/gateway/commands/{command_id}",
        "shows how a command ended (architecture X3)",
    ),
    (
        "GET /api/v1/commands/{command_id}",
        "the same under the architecture's path",
    ),
];

fn name(method: &str, path: &str) -> String {
    format!("{method} {path}")
}

fn contract() -> BTreeSet<String> {
    let list: Vec<Value> = serde_json::from_str(CONTRACT).expect("JSON");
    let text = |operation: &Value, key: &str| operation[key].as_str().expect("text").to_owned();
    list.iter()
        .map(|operation| name(&text(operation, "method"), &text(operation, "path")))
        .collect()
}

fn served() -> Vec<String> {
    FAMILIES
        .iter()
        .flat_map(|family| family.operations)
        .map(|o| name(o.method, o.path))
        .collect()
}

#[test]
fn every_operation_is_the_contract_s_or_has_a_reason() {
    let contract = contract();
    let beyond: Vec<&str> = BEYOND.iter().map(|(name, _)| *name).collect();
    let unknown: Vec<String> = served()
        .into_iter()
        .filter(|name| !contract.contains(name) && !beyond.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not in the contract: {unknown:#?}");
}

#[test]
fn the_list_of_missing_operations_is_exact() {
    let served: HashSet<String> = served().into_iter().collect();
    let listed: BTreeSet<String> = MISSING
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let missing: BTreeSet<String> = contract()
        .into_iter()
        .filter(|name| !served.contains(name))
        .collect();
    let stale: Vec<&String> = listed.difference(&missing).collect();
    let unlisted: Vec<&String> = missing.difference(&listed).collect();
    assert!(
        stale.is_empty(),
        "served by now, take them off contract/missing.txt: {stale:#?}"
    );
    assert!(unlisted.is_empty(), "no longer served: {unlisted:#?}");
}

#[test]
fn operation_ids_and_paths_are_unique() {
    let mut seen = HashSet::new();
    for operation in FAMILIES.iter().flat_map(|family| family.operations) {
        assert!(
            seen.insert(operation.id.to_owned()),
            "{} is used twice",
            operation.id
        );
        assert!(
            seen.insert(name(operation.method, operation.path)),
            "{} {}",
            operation.method,
            operation.path
        );
        assert!(
            operation.summary.ends_with('.') || operation.summary.ends_with(")."),
            "{}",
            operation.id
        );
    }
}

#[test]
fn types_become_schemas() {
    let cases = [
        (
            json!({"type": "string|null"}),
            json!({"type": ["string", "null"]}),
        ),
        (
            json!({"type": "array<string>|null"}),
            json!({"type": ["array", "null"], "items": {"type": "string"}}),
        ),
        (
            json!({"type": "integer", "default": 5, "bounds": {"minimum": 1}}),
            json!({"type": "integer", "minimum": 1, "default": 5}),
        ),
        (
            json!({"type": "file"}),
            json!({"type": "string", "format": "binary"}),
        ),
        (json!({"type": "any", "default": {}}), json!({"default": {}})),
        (
            json!({"type": "Thing|null", "fields": [{"name": "a", "type": "boolean", "required": true}]}),
            json!({"type": ["object", "null"], "properties": {"a": {"type": "boolean"}}, "required": ["a"]}),
        ),
        (
            json!({"type": "boolean|string"}),
            json!({"anyOf": [{"type": "boolean"}, {"type": "string"}]}),
        ),
    ];
    for (field, expected) in cases {
        assert_eq!(schema(&field), expected, "{field}");
    }
}

#[tokio::test]
async fn the_document_and_the_pages_are_served_to_everybody() {
    let node = Node::new();
    let get = async |path: &str| {
        node.send(
            http::Request::builder()
                .uri(path)
                .body(axum::body::Body::empty())
                .expect("request"),
        )
        .await
    };
    let api = get("/openapi.json").await.json();
    assert_eq!(api["openapi"], "3.1.0");
    let upload = &api["paths"]["/api/gateway/bundles/upload"]["post"];
    assert_eq!(upload["operationId"], "upload_bundle");
    assert_eq!(upload["security"], json!([{"gatewayBearerAuth": []}]));
    let form = &upload["requestBody"]["content"]["multipart/form-data"]["schema"];
    assert_eq!(
        (&form["required"], &form["properties"]["reload"]["default"]),
        (&json!(["file"]), &json!(true))
    );
    assert_eq!(upload["responses"]["413"]["description"], "Payload Too Large");
    let create = &api["paths"]["/api/gateway/visualflows"]["post"]["requestBody"]["content"]["application/json"]
        ["schema"];
    assert_eq!(create["additionalProperties"], false);
    assert!(api["paths"]["/api/health"]["get"].get("security").is_none());
    for (path, view) in [("/docs", "try"), ("/redoc", "read")] {
        let page = get(path).await;
        assert!(page.text().contains(&format!("data-view=\"{view}\"")));
        let policy = page.header("content-security-policy").expect("policy").to_owned();
        assert!(
            policy.contains("default-src 'none'; script-src 'sha256-")
                && policy.contains("connect-src 'self'")
        );
    }
}
