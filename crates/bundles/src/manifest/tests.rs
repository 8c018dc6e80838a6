use serde_json::{Value, json};

use super::*;

fn valid() -> Value {
    json!({"bundle_format_version": "1", "bundle_id": "b", "bundle_version": "1.0.0", "created_at": "2024",
        "entrypoints": [{"flow_id": "main", "name": "Main", "description": "d", "interfaces": ["i"]}],
        "default_entrypoint": "main", "flows": {"main": "flows/main.json"}})
}

/// The valid manifest with some members replaced; null removes.
fn with(changes: &Value) -> Value {
    let mut manifest = valid();
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            manifest.as_object_mut().unwrap().remove(key);
        } else {
            manifest[key] = value.clone();
        }
    }
    manifest
}

#[test]
fn every_message() {
    let entry = |entry: Value| json!({"entrypoints": [entry], "default_entrypoint": null});
    let table = [
        (
            json!({"bundle_format_version": "2"}),
            "Unsupported WorkflowBundle bundle_format_version '2'. Supported: 1",
        ),
        (
            json!({"bundle_format_version": 2}),
            "Unsupported WorkflowBundle bundle_format_version '2'. Supported: 1",
        ),
        (json!({"bundle_id": ""}), "bundle_id must be a non-empty string"),
        (json!({"bundle_id": null}), "bundle_id must be a non-empty string"),
        (json!({"bundle_id": 5}), "bundle_id must be a non-empty string"),
        (
            json!({"bundle_version": " "}),
            "bundle_version must be a non-empty string",
        ),
        (
            json!({"bundle_version": 1}),
            "bundle_version must be a non-empty string",
        ),
        (
            json!({"entrypoints": []}),
            "manifest.entrypoints must be a non-empty list",
        ),
        (
            json!({"entrypoints": null}),
            "manifest.entrypoints must be a non-empty list",
        ),
        (
            json!({"entrypoints": {"flow_id": "main"}}),
            "manifest.entrypoints must be a non-empty list",
        ),
        (entry(json!({})), "entrypoint.flow_id must be a non-empty string"),
        (
            entry(json!("main")),
            "entrypoint.flow_id must be a non-empty string",
        ),
        (
            entry(json!({"flow_id": " "})),
            "entrypoint.flow_id must be a non-empty string",
        ),
        (
            json!({"entrypoints": [{"flow_id": "main"}, {"flowId": "main"}]}),
            "Duplicate entrypoint flow_id 'main'",
        ),
        (
            entry(json!({"flow_id": "m", "description": 1})),
            "entrypoint 'm' description must be a string",
        ),
        (
            entry(json!({"flow_id": "m", "interfaces": [1]})),
            "entrypoint 'm' interfaces must be strings",
        ),
        (
            json!({"default_entrypoint": "x"}),
            "default_entrypoint 'x' must match an entrypoint.flow_id",
        ),
        (json!({"artifacts": []}), "manifest.artifacts must be a dict"),
        (
            json!({"flows": {" ": "x"}}),
            "manifest.flows keys must be non-empty strings",
        ),
        (
            json!({"assets": {"": "x"}}),
            "manifest.assets keys must be non-empty strings",
        ),
        (
            json!({"flows": {"m": "../main.json"}}),
            "manifest.flows entry 'm' has unsafe path '../main.json'",
        ),
        (
            json!({"flows": {"m": "/main.json"}}),
            "manifest.flows entry 'm' has unsafe path '/main.json'",
        ),
        (
            json!({"flows": {"m": ""}}),
            "manifest.flows entry 'm' has unsafe path ''",
        ),
        (
            json!({"assets": {"m": "C:/x"}}),
            "manifest.assets entry 'm' has unsafe path 'C:/x'",
        ),
        (
            json!({"assets": {"m": "a\\b"}}),
            "manifest.assets entry 'm' has unsafe path 'a\\b'",
        ),
        (
            json!({"artifacts": {"m": 5}}),
            "manifest.artifacts entry 'm' has unsafe path '5'",
        ),
    ];
    for (changes, message) in table {
        let error = Manifest::from_value(&with(&changes)).expect_err(&changes.to_string());
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(
        Manifest::parse(b"[]").unwrap_err().to_string(),
        "manifest.json must be a JSON object"
    );
    assert!(
        Manifest::parse(b"{")
            .unwrap_err()
            .to_string()
            .starts_with("manifest.json is not valid JSON: ")
    );
}

#[test]
fn wrong_typed_optional_members_are_dropped() {
    let manifest = Manifest::from_value(&with(&json!({
        "flows": [], "assets": 3, "metadata": "x", "bundle_version": null, "bundle_format_version": null,
        "created_at": 7, "entrypoints": [{"flow_id": "main", "interfaces": "i", "name": 4}]
    })))
    .unwrap();
    assert!(manifest.flows.is_empty() && manifest.assets.is_empty() && manifest.metadata.is_empty());
    assert_eq!(
        (manifest.bundle_version.as_str(), manifest.created_at.as_str()),
        ("0.0.0", "")
    );
    assert_eq!(
        manifest.entrypoints,
        [Entrypoint {
            flow_id: "main".into(),
            ..Entrypoint::default()
        }]
    );
    assert_eq!(manifest.entrypoints[0].display_name(), "main");
}

#[test]
fn aliases() {
    for default in [
        "defaultEntrypoint",
        "default_entrypoint_flow_id",
        "defaultEntrypointFlowId",
    ] {
        let manifest = Manifest::from_value(&json!({
            "bundleFormatVersion": "1", "bundleId": " b ", "bundleVersion": "draft.1", "createdAt": "c",
            "entrypoints": [{"flowId": "m"}, {"flowId": "n"}], default: "n"
        }))
        .unwrap();
        assert_eq!(manifest.bundle_ref(), "b@draft.1");
        assert!(manifest.is_draft());
        assert_eq!(manifest.created_at, "c");
        assert_eq!(manifest.default_entrypoint.as_deref(), Some("n"));
        assert!(manifest.entrypoint("m").is_some() && manifest.entrypoint("x").is_none());
    }
}

#[test]
fn a_manifest_survives_writing_and_reading() {
    let manifest = Manifest::from_value(&with(
        &json!({"metadata": {"a": {"b": "c"}}, "assets": {"x": "assets/x"}}),
    ))
    .unwrap();
    let written = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(Manifest::parse(&written).unwrap(), manifest);
    assert_eq!(manifest.metadata_text(["a", "b"]), Some("c"));
    let keys: Vec<String> = serde_json::to_value(&manifest)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        keys.join(" "),
        "bundle_format_version bundle_id bundle_version created_at entrypoints default_entrypoint flows artifacts assets metadata"
    );
}
