//! Uploads as recorded, and the life of a bundle.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{
    routes::testing::{form, zip},
    testkit::{Answer, Node},
};

const UPLOAD: &str = "/api/gateway/bundles/upload";
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/vectors/cases");

fn json_of(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

/// The bundle file of a vector (vectors README, `bundle`).
fn bundle_of(name: &str, vector: &Value, dir: &Path) -> Vec<u8> {
    let spec = &vector["bundle"];
    if let Some(bytes) = spec["bytes_b64"].as_str() {
        return STANDARD.decode(bytes).expect("base64");
    }
    let mut files: Vec<(String, String)> = Vec::new();
    let mut flows = serde_json::Map::new();
    for entry in fs::read_dir(dir.join("flows")).into_iter().flatten().flatten() {
        let path = entry.path();
        let id = path.file_stem().expect("name").to_string_lossy().into_owned();
        files.push((
            format!("flows/{id}.json"),
            fs::read_to_string(&path).expect("flow"),
        ));
        flows.insert(id.clone(), format!("flows/{id}.json").into());
    }
    let entry = spec.get("entrypoint").cloned().unwrap_or(json!("main"));
    let entries = spec["entrypoints"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![entry.clone()]);
    let mut manifest = json!({
        "bundle_format_version": "1",
        "bundle_id": spec["id"].as_str().map_or_else(|| format!("vec-{name}"), str::to_owned),
        "bundle_version": spec["version"].as_str().unwrap_or("1.0.0"),
        "created_at": "2024-01-01T00:00:00+00:00",
        "entrypoints": entries.iter().map(|id| json!({"flow_id": id, "name": id, "description": "", "interfaces": []}))
            .collect::<Vec<Value>>(),
        "default_entrypoint": entry,
        "flows": flows,
        "artifacts": {}, "assets": {}, "metadata": {},
    });
    for (key, value) in spec["manifest"].as_object().into_iter().flatten() {
        let members = manifest.as_object_mut().expect("object");
        match value.is_null() {
            true => drop(members.remove(key)),
            false => drop(members.insert(key.clone(), value.clone())),
        }
    }
    if spec["omit_manifest"] != true {
        files.insert(0, ("manifest.json".to_owned(), manifest.to_string()));
    }
    for (name, text) in spec["files"].as_object().into_iter().flatten() {
        files.retain(|(known, _)| known != name);
        files.extend(text.as_str().map(|text| (name.clone(), text.to_owned())));
    }
    zip(&files)
}

#[tokio::test]
async fn every_recorded_upload_is_answered_as_recorded() {
    let node = Node::new();
    let mut seen = 0;
    for case in fs::read_dir(CASES).expect("vectors").flatten() {
        let name = case.file_name().to_string_lossy().into_owned();
        if !name.starts_with("bundle-") && !name.starts_with("compile-") {
            continue;
        }
        let expected = json_of(&case.path().join("expected/result.json"))["upload"].clone();
        let bytes = bundle_of(&name, &json_of(&case.path().join("vector.json")), &case.path());
        let file = ("x.flow", "application/octet-stream", bytes.as_slice());
        let answer = node
            .send(form(
                UPLOAD,
                &[("overwrite", "true"), ("reload", "true")],
                Some(file),
            ))
            .await;
        let mut found = answer.json();
        if let Some(object) = found.as_object_mut() {
            object.remove("sha256");
        }
        let found = json!({"response": found, "status_code": answer.status.as_u16()});
        assert_eq!(found, expected, "{name}");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

fn flow() -> Value {
    json!({"id": "main", "name": "main", "nodes": [
        {"id": "start", "type": "on_flow_start", "data": {"nodeType": "on_flow_start", "label": "Go", "headerColor": "#1",
            "outputs": [{"id": "exec-out", "type": "execution"}, {"id": "n", "label": "n", "type": "number"}],
            "pinDefaults": {"n": 3}}},
        {"id": "end", "type": "on_flow_end", "data": {"nodeType": "on_flow_end", "inputs": [{"id": "exec-in", "type": "execution"}]}}
    ], "edges": [{"id": "e", "source": "start", "sourceHandle": "exec-out", "target": "end", "targetHandle": "exec-in"}]})
}

fn bundle(id: &str, version: &str) -> Vec<u8> {
    let manifest = json!({"bundle_format_version": "1", "bundle_id": id, "bundle_version": version, "created_at": "t",
        "entrypoints": [{"flow_id": "main"}], "flows": {"main": "flows/main.json"}});
    zip(&[
        ("manifest.json".into(), manifest.to_string()),
        ("flows/main.json".into(), flow().to_string()),
    ])
}

pub(super) async fn upload(node: &Node, id: &str, version: &str, fields: &[(&str, &str)]) -> Answer {
    let bytes = bundle(id, version);
    node.send(form(UPLOAD, fields, Some(("b.flow", "application/zip", &bytes))))
        .await
}

pub(super) fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item["bundle_ref"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn the_life_of_a_bundle() {
    let node = Node::new();
    let first = upload(&node, "b", "1.0.0", &[]).await;
    assert_eq!(
        (first.status.as_u16(), &first.json()["gateway_reloaded"]),
        (200, &json!(true))
    );
    let again = upload(&node, "b", "1.0.0", &[]).await;
    assert_eq!(
        again.refusal(),
        (400, "Bundle already installed: b@1.0.0.flow".to_owned())
    );
    let quiet = upload(&node, "b", "1.1.0", &[("reload", "no")]).await;
    assert_eq!(
        (
            &quiet.json()["gateway_reloaded"],
            &quiet.json()["gateway_reload_error"]
        ),
        (&json!(false), &Value::Null)
    );
    assert_eq!(ids(&node.get("/api/gateway/bundles").await), ["b@1.1.0"]);
    assert_eq!(
        ids(&node.get("/api/gateway/bundles?all_versions=true").await),
        ["b@1.0.0", "b@1.1.0"]
    );
    assert_eq!(
        node.get("/api/gateway/bundles").await.json()["default_bundle_id"],
        "b"
    );

    let shown = node.get("/api/gateway/bundles/b@1.0.0").await.json();
    assert_eq!(
        shown["entrypoints"][0]["node_index"]["start"],
        json!({"type": "on_flow_start", "label": "Go", "headerColor": "#1"})
    );
    let stored = node
        .get("/api/gateway/bundles/b/flows/main?bundle_version=1.0.0")
        .await
        .json();
    assert_eq!(
        (&stored["workflow_id"], &stored["flow"]),
        (&json!("b@1.0.0:main"), &flow())
    );
    let schema = node
        .get("/api/gateway/bundles/b/flows/main/input_schema")
        .await
        .json();
    assert_eq!(
        (&schema["bundle_version"], &schema["defaults"]),
        (&json!("1.1.0"), &json!({"n": 3}))
    );
    let same = node
        .get("/api/gateway/workflows/b@1.0.0%3Amain/flow")
        .await
        .json();
    assert_eq!(same, stored);
    for (path, status, detail) in [
        ("bundles/x", 404, "Bundle 'x' not found"),
        ("bundles/b@9", 404, "Bundle 'b@9' not found"),
        (
            "bundles/b/flows/ghost",
            404,
            "Flow 'ghost' not found in bundle 'b@1.1.0'",
        ),
        (
            "bundles/b@1.0.0?bundle_version=2",
            400,
            "bundle_version conflicts with bundle_id (bundle_id already includes '@version')",
        ),
        (
            "bundles/__catalog__x",
            403,
            "Catalog bundles must be accessed through /api/gateway/workflow-catalog",
        ),
        (
            "workflows/scheduled:x/flow",
            404,
            "Workflow 'scheduled:x' not found",
        ),
        ("workflows/a%00b/flow", 404, "Workflow 'a\0b' not found"),
    ] {
        assert_eq!(
            node.get(&format!("/api/gateway/{path}")).await.refusal(),
            (status, detail.to_owned()),
            "{path}"
        );
    }

    assert_eq!(
        node.post("/api/gateway/bundles/b/deprecate", &json!({"flow_id": "ghost"}))
            .await
            .refusal()
            .0,
        404
    );
    let hidden = node
        .post("/api/gateway/bundles/b/deprecate", &json!({"reason": " old "}))
        .await
        .json();
    assert_eq!(
        (&hidden["flow_id"], &hidden["reason"]),
        (&json!("*"), &json!("old"))
    );
    assert!(
        hidden["deprecated_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z'))
    );
    let empty = node.get("/api/gateway/bundles").await.json();
    assert_eq!(empty, json!({"items": [], "default_bundle_id": null}));
    let all = node.get("/api/gateway/bundles?include_deprecated=1").await.json();
    assert_eq!(all["items"][0]["entrypoints"][0]["deprecated_reason"], "old");
    let flow_only = node
        .post("/api/gateway/bundles/b/undeprecate", &json!({"flow_id": "main"}))
        .await
        .json();
    assert_eq!(flow_only["removed"], false);
    let back = node
        .post("/api/gateway/bundles/b/undeprecate", &json!({}))
        .await
        .json();
    assert_eq!((&back["flow_id"], &back["removed"]), (&json!("*"), &json!(true)));
    assert_eq!(
        node.bare("POST", "/api/gateway/bundles/b/undeprecate")
            .await
            .status
            .as_u16(),
        422
    );

    let reloaded = node.bare("POST", "/api/gateway/bundles/reload").await.json();
    assert_eq!(reloaded, json!({"ok": true, "bundle_ids": ["b"], "count": 1}));
    let one = node
        .bare("DELETE", "/api/gateway/bundles/b?bundle_version=1.0.0")
        .await
        .json();
    assert_eq!(
        (&one["bundle_ref"], &one["removed"]),
        (&json!("b@1.0.0"), &json!(1))
    );
    assert_eq!(
        node.bare("DELETE", "/api/gateway/bundles/b@1.1.0?bundle_version=2")
            .await
            .refusal()
            .0,
        400
    );
    assert_eq!(
        node.bare("DELETE", "/api/gateway/bundles/b").await.json()["removed"],
        1
    );
    assert_eq!(
        node.bare("DELETE", "/api/gateway/bundles/b").await.refusal(),
        (404, "Bundle 'b' not found".to_owned())
    );
}

#[tokio::test]
async fn forms_are_checked_as_a_whole() {
    let node = Node::with(|config| config.limits.max_bundle_bytes = 100);
    let missing = node.send(form(UPLOAD, &[("overwrite", "maybe")], None)).await;
    let issues = missing.json()["detail"].clone();
    assert_eq!(missing.status.as_u16(), 422);
    let found: Vec<(Value, Value)> = issues
        .as_array()
        .expect("list")
        .iter()
        .map(|issue| (issue["type"].clone(), issue["loc"].clone()))
        .collect();
    assert_eq!(
        found,
        [
            (json!("missing"), json!(["body", "file"])),
            (json!("bool_parsing"), json!(["body", "overwrite"])),
        ]
    );
    let json = node.post(UPLOAD, &json!({"file": 1})).await;
    assert_eq!(json.json()["detail"][0]["loc"], json!(["body", "file"]));
    let bytes = bundle("b", "1.0.0");
    let large = node
        .send(form(UPLOAD, &[], Some(("b.flow", "application/zip", &bytes))))
        .await;
    assert_eq!(
        large.refusal(),
        (
            413,
            format!("Bundle too large ({} bytes > 100 bytes)", bytes.len())
        )
    );
}

#[tokio::test]
async fn the_folder_and_the_rows_agree() {
    let dir = tempfile::tempdir().expect("dir");
    let flows = dir.path().join("flows");
    let folder = flows.clone();
    let node = Node::with(move |config| config.workflows.flows_dir = Some(folder));
    let reload = || node.bare("POST", "/api/gateway/bundles/reload");
    assert_eq!(reload().await.json()["count"], 0, "the folder is made");
    assert!(flows.is_dir());
    upload(&node, "b", "1.0.0", &[]).await;
    assert!(flows.join("b@1.0.0.flow").is_file());
    fs::write(flows.join("a-copy.flow"), bundle("b", "1.0.0")).expect("copy");
    fs::write(flows.join("c.flow"), bundle("c", "2.0")).expect("bundle");
    fs::write(flows.join("broken.flow"), "no zip").expect("junk");
    assert_eq!(reload().await.json()["bundle_ids"], json!(["b", "c"]));
    fs::remove_file(flows.join("c.flow")).expect("file");
    assert_eq!(reload().await.json()["bundle_ids"], json!(["b"]));
    node.bare("DELETE", "/api/gateway/bundles/b").await;
    assert_eq!(
        fs::read_dir(&flows).expect("folder").count(),
        1,
        "every file of the version is gone, junk stays"
    );
    assert_eq!(reload().await.json()["count"], 0);
}

#[tokio::test]
async fn a_shipped_bundle_that_was_removed_stays_away() {
    let node = Node::new();
    let start = async || {
        install_flows_dir(node.state.test_deps(), &node.scope, None, ShippedBundles::Install)
            .await
            .expect("installed")
    };
    let installed = start().await.installed;
    let reference = installed.first().expect("one bundle").clone();
    let (_, version) = reference.split_once('@').expect("id and version");
    let there = async || node.get("/api/gateway/bundles/basic-agent").await.status.as_u16();
    assert_eq!(there().await, 200);
    let gone = node.bare("DELETE", "/api/gateway/bundles/basic-agent").await;
    assert_eq!(gone.json()["removed"], 1);
    assert_eq!(
        start().await,
        FlowsDirReport::default(),
        "the next start respects it"
    );
    assert_eq!(there().await, 404);
    // What somebody installs under the same name and version is not replaced either.
    upload(&node, "basic-agent", version, &[]).await;
    assert_eq!(start().await, FlowsDirReport::default());
    let own = node.get("/api/gateway/bundles/basic-agent").await;
    assert_eq!(own.status.as_u16(), 200, "{}", own.text());
    let one = format!("/api/gateway/bundles/basic-agent?bundle_version={version}");
    node.bare("DELETE", &one).await;
    assert_eq!(start().await, FlowsDirReport::default());
    assert_eq!(there().await, 404);
}

#[tokio::test]
async fn an_upload_in_the_place_of_a_shipped_bundle_stays() {
    let node = Node::new();
    let (_, version) = shipped();
    upload(&node, "basic-agent", &version, &[]).await;
    let report = install_flows_dir(node.state.test_deps(), &node.scope, None, ShippedBundles::Install);
    assert_eq!(report.await.expect("installed"), FlowsDirReport::default());
}

/// Id and version of the bundle that comes with the gateway.
fn shipped() -> (String, String) {
    let packages = ag_bundles::shipped::shipped_packages();
    let manifest = packages[0].manifest();
    (manifest.bundle_id.clone(), manifest.bundle_version.clone())
}

#[tokio::test]
async fn shipped_bundles_stand_in_for_a_folder() {
    let node = Node::new();
    let deps = node.state.test_deps();
    let report = install_flows_dir(deps, &node.scope, None, ShippedBundles::Install)
        .await
        .expect("installed");
    assert_eq!(report.broken, []);
    assert_eq!(report.installed.len(), 1);
    let again = install_flows_dir(deps, &node.scope, None, ShippedBundles::Install)
        .await
        .expect("installed");
    assert_eq!(again, FlowsDirReport::default(), "nothing is written twice");
    assert_eq!(
        node.get("/api/gateway/bundles/basic-agent").await.status.as_u16(),
        200
    );
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("x.flow"), bundle("x", "1")).expect("bundle");
    let report = install_flows_dir(deps, &node.scope, Some(dir.path()), ShippedBundles::Install)
        .await
        .expect("scan");
    assert_eq!(report.installed, ["x@1"]);
    assert_eq!(
        report.removed.len(),
        1,
        "a folder replaces what came with the gateway"
    );
}
