use serde_json::json;

use super::*;
use crate::test_archive::zip_of;

fn package(id: &str, flows: &[(&str, &str)], limits: &Limits) -> Package {
    let paths: serde_json::Map<String, Value> = flows
        .iter()
        .map(|(id, _)| ((*id).to_owned(), json!(format!("flows/{id}.json"))))
        .collect();
    let manifest = json!({"bundle_id": id, "entrypoints": [{"flow_id": "main"}], "flows": paths}).to_string();
    let names: Vec<String> = flows.iter().map(|(id, _)| format!("flows/{id}.json")).collect();
    let mut files = vec![("manifest.json", manifest.as_str())];
    files.extend(
        names
            .iter()
            .zip(flows)
            .map(|(name, (_, json))| (name.as_str(), *json)),
    );
    Package::open(Bytes::from(zip_of(&files)), "x.flow", limits).unwrap()
}

#[test]
fn flows_are_loaded_by_manifest_key() {
    let package = package(
        "b",
        &[("main", r#"{"id":"other"}"#), ("child", "{}")],
        &Limits::default(),
    );
    let bundle = package.load().unwrap();
    assert_eq!((bundle.id(), bundle.version()), ("b", "0.0.0"));
    assert_eq!(bundle.flows().keys().collect::<Vec<_>>(), ["main", "child"]);
    assert_eq!(bundle.flow("main").unwrap().get("id"), Some(&json!("other")));
    assert!(bundle.flow("other").is_none());
    assert_eq!(bundle.sha256(), hex::encode(Sha256::digest(package.bytes())));
}

#[test]
fn flows_that_cannot_be_held() {
    let defaults = Limits::default();
    let nested = "[".repeat(100_000);
    let broken = package("b", &[("main", &nested)], &defaults).load().unwrap_err();
    assert!(matches!(broken, LoadError::Json { .. }), "{broken}");

    let limits = Limits {
        max_json_values: 10,
        ..defaults
    };
    let complex = package(
        "b",
        &[("main", r#"{"nodes":[[],[],[],[],[],[],[],[],[],[]]}"#)],
        &limits,
    );
    assert_eq!(
        complex.load().unwrap_err().to_string(),
        "VisualFlow JSON for 'b@0.0.0:main' has more than 10 values"
    );

    let limits = Limits {
        max_flow_bytes: 8,
        ..defaults
    };
    let large = package("b", &[("main", r#"{"nodes":[]}"#)], &limits)
        .load()
        .unwrap_err();
    assert!(matches!(
        large,
        LoadError::Archive(ArchiveError::EntryTooLarge { size: 12, max: 8, .. })
    ));

    let limits = Limits {
        max_flows_bytes: 20,
        ..defaults
    };
    let total = package(
        "b",
        &[("main", r#"{"nodes":[]}"#), ("x", r#"{"nodes":[]}"#)],
        &limits,
    );
    assert_eq!(
        total.load().unwrap_err().to_string(),
        "Bundle 'b@0.0.0' has more than 20 bytes of flows"
    );

    let ambiguous = package("a:b", &[("main", "{}")], &defaults).load().unwrap_err();
    assert!(matches!(ambiguous, LoadError::Ambiguous(_)));
}
