use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::{archive::Limits, bundle::Package, test_archive::zip_of};

fn none(_: &str, _: &str) -> Option<Deprecation> {
    None
}

fn index(versions: &[(&str, &str)]) -> BundleIndex {
    let mut index = BundleIndex::default();
    for (id, version) in versions {
        let manifest = json!({"bundle_id": id, "bundle_version": version, "created_at": "2026-01-08T00:00:00+00:00",
            "entrypoints": [{"flow_id": "simple", "name": "simple", "interfaces": ["x.y.v1"]}], "flows": {"simple": "flows/simple.json"}});
        let manifest = Arc::new(Manifest::from_value(&manifest).unwrap());
        index.insert(
            id,
            IndexedVersion {
                manifest,
                sha256: String::new(),
            },
        );
    }
    index
}

#[test]
fn an_item_as_recorded() {
    let expected = r#"{"items":[{"bundle_id":"t1","bundle_version":"0.0.1","bundle_ref":"t1@0.0.1","registry_scope":"private","version_channel":"published","is_draft":false,"is_published":true,"latest_published_version":"0.0.1","latest_any_version":"0.0.1","created_at":"2026-01-08T00:00:00+00:00","metadata":{},"default_entrypoint":null,"entrypoints":[{"flow_id":"simple","name":"simple","description":"","interfaces":["x.y.v1"],"workflow_id":"t1@0.0.1:simple","deprecated":false,"deprecated_at":null,"deprecated_reason":null}],"actions":{"can_run":true,"can_upload":true,"can_remove":true,"can_deprecate":true,"catalog_promote_endpoint":"/api/gateway/admin/workflow-catalog/promote"}}],"default_bundle_id":"t1"}"#;
    assert_eq!(
        bundles(&index(&[("t1", "0.0.1")]), ListOptions::default(), &none).to_string(),
        expected
    );
}

#[test]
fn filters() {
    let index = index(&[
        ("a", "1.0.0"),
        ("a", "1.1.0"),
        ("a", "draft.1"),
        ("b", "draft.2"),
        ("__catalog__x", "1.0.0"),
    ]);
    let refs = |options, deprecations: Deprecations<'_>| -> Vec<String> {
        let answer = bundles(&index, options, deprecations);
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["bundle_ref"].as_str().unwrap().to_owned())
            .collect()
    };
    let plain = ListOptions::default();
    assert_eq!(refs(plain, &none), ["a@1.1.0"]);
    assert_eq!(
        refs(
            ListOptions {
                include_drafts: true,
                ..plain
            },
            &none
        ),
        ["a@1.1.0", "b@draft.2"]
    );
    assert_eq!(
        refs(
            ListOptions {
                all_versions: true,
                ..plain
            },
            &none
        ),
        ["a@1.0.0", "a@1.1.0"]
    );
    let all = ListOptions {
        all_versions: true,
        include_drafts: true,
        ..plain
    };
    assert_eq!(refs(all, &none), ["a@1.0.0", "a@1.1.0", "a@draft.1", "b@draft.2"]);
    let old = |id: &str, _: &str| {
        (id == "a").then(|| Deprecation {
            deprecated_at: "t".into(),
            reason: Some("old".into()),
        })
    };
    assert!(refs(plain, &old).is_empty());
    let answer = bundles(
        &index,
        ListOptions {
            include_deprecated: true,
            ..plain
        },
        &old,
    );
    assert_eq!(answer["items"][0]["entrypoints"][0]["deprecated_reason"], "old");
    assert_eq!(answer["default_bundle_id"], Value::Null);
    let single = super::tests::index(&[("a", "1.0.0")]);
    assert_eq!(
        bundles(&single, plain, &old),
        json!({"items": [], "default_bundle_id": null})
    );
}

#[test]
fn details_as_recorded() {
    let flow = json!({"nodes": [
        {"id": "start", "type": "on_flow_start", "data": {"label": "start", "pinDefaults": {"n": 3}, "outputs": [
            {"id": "exec-out", "type": "execution"}, {"id": "name", "label": "name", "type": "string"},
            {"id": "n", "label": "n", "type": "number"}]}},
        {"id": "end", "type": "on_flow_end", "data": {"headerColor": "#f00"}}, {"type": "code"}]});
    let manifest = json!({"bundle_id": "v", "bundle_version": "1.0.0", "entrypoints": [{"flow_id": "main"}, {"flow_id": "gone"}],
        "flows": {"main": "flows/main.json"}});
    let files = [
        ("manifest.json", manifest.to_string()),
        ("flows/main.json", flow.to_string()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let package = Package::open(Bytes::from(zip_of(&files)), "x", &Limits::default()).unwrap();
    let answer = bundle(&package.load().unwrap(), &none);
    assert_eq!(
        answer["entrypoints"][0].to_string(),
        r##"{"flow_id":"main","workflow_id":"v@1.0.0:main","name":"main","description":"","interfaces":[],"inputs":[{"id":"name","label":"name","type":"string"},{"id":"n","label":"n","type":"number","default":3}],"node_index":{"start":{"type":"on_flow_start","label":"start"},"end":{"type":"on_flow_end","label":"on_flow_end","headerColor":"#f00"}},"deprecated":false,"deprecated_at":null,"deprecated_reason":null}"##
    );
    assert_eq!(answer["entrypoints"][1]["inputs"], json!([]));
    assert_eq!(answer["flows"], json!(["main"]));
    let uploaded = upload(
        package.manifest(),
        package.sha256(),
        Some("Bundle file not found: x"),
        false,
    );
    assert_eq!(
        uploaded["entrypoints"][0],
        json!({"flow_id": "main", "name": "main", "description": "", "interfaces": []})
    );
    assert_eq!(uploaded["gateway_reload_error"], "Bundle file not found: x");
    assert_eq!(
        serde_json::to_string(&flow_identity("v", "1.0.0", "main")).unwrap(),
        r#"{"bundle_id":"v","bundle_version":"1.0.0","bundle_ref":"v@1.0.0","flow_id":"main","workflow_id":"v@1.0.0:main"}"#
    );
}
