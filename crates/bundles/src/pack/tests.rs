use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{archive::Limits, flow::Object, install::inspect_upload};
use std::sync::Arc;

fn flow(id: &str, calls: &[&str]) -> Arc<Object> {
    let mut nodes = vec![json!({"id": "start", "type": "on_flow_start"})];
    let mut edges = Vec::new();
    let mut last = "start".to_owned();
    for (n, target) in calls.iter().enumerate() {
        let id = format!("s{n}");
        nodes.push(json!({"id": id, "type": "subflow", "data": {"subflowId": target}}));
        edges.push(
            json!({"source": last, "sourceHandle": "exec-out", "target": id, "targetHandle": "exec-in"}),
        );
        last = id;
    }
    let document = json!({"id": id, "name": format!("My {id}!"), "description": "d", "interfaces": ["i"],
        "nodes": nodes, "edges": edges, "updated_at": "u"});
    Arc::new(document.as_object().unwrap().clone())
}

struct Store(HashMap<String, Arc<Object>>);

impl Store {
    fn new(flows: &[(&str, &[&str])]) -> Self {
        Self(
            flows
                .iter()
                .map(|(id, calls)| ((*id).to_owned(), flow(id, calls)))
                .collect(),
        )
    }

    fn publish(
        &self,
        version: Option<&str>,
        overwrite: bool,
        existing: &[ExistingVersion],
    ) -> Result<Published, String> {
        let lookup = |id: &str| self.0.get(id).cloned();
        publish(&PublishRequest {
            flow_id: "root",
            root: &self.0["root"],
            lookup: &lookup,
            bundle_id: "b",
            bundle_version: version,
            overwrite,
            existing,
            now: "2026-01-01T00:00:00+00:00",
        })
        .map_err(|error| format!("{} {error}", error.status().http_status()))
    }
}

#[test]
fn a_publish_packs_what_execution_reaches() {
    let store = Store::new(&[
        ("root", &["z", "a"]),
        ("a", &["root", "c"]),
        ("c", &[]),
        ("z", &["z"]),
        ("unused", &[]),
    ]);
    let published = store.publish(None, false, &[]).unwrap();
    assert_eq!(published.file_name, "b@0.0.0.flow");
    assert_eq!(
        published.manifest.flows.keys().collect::<Vec<_>>(),
        ["root", "a", "c", "z"]
    );
    let package = inspect_upload(Bytes::from(published.bytes.clone()), "x", &Limits::default()).unwrap();
    assert_eq!(
        (package.manifest(), package.sha256()),
        (&published.manifest, published.sha256.as_str())
    );
    let bundle = package.load().unwrap();
    assert_eq!(bundle.flow("root"), Some(&store.0["root"]));
    assert_eq!(store.publish(None, false, &[]).unwrap().sha256, published.sha256);
    let expected = json!({
        "bundle_format_version": "1", "bundle_id": "b", "bundle_version": "0.0.0", "created_at": "2026-01-01T00:00:00+00:00",
        "entrypoints": [{"flow_id": "root", "name": "My root!", "description": "d", "interfaces": ["i"]}],
        "default_entrypoint": "root",
        "flows": {"root": "flows/root.json", "a": "flows/a.json", "c": "flows/c.json", "z": "flows/z.json"},
        "artifacts": {}, "assets": {},
        "metadata": {
            "lifecycle": {"channel": "published", "source": "abstractflow.editor"},
            "publisher": {"host": "abstractgateway", "published_at": "2026-01-01T00:00:00+00:00"},
            "source": {"root_flow_id": "root", "root_flow_name": "My root!", "root_flow_updated_at": "u"},
            "lineage": {"bundle_id": "b", "bundle_version": "0.0.0", "origin_bundle_version": "0.0.0"}
        }
    });
    assert_eq!(serde_json::to_value(&published.manifest).unwrap(), expected);
}

#[test]
fn versions() {
    let store = Store::new(&[("root", &[])]);
    let version = |version: &str, origin: Option<&str>| ExistingVersion {
        version: version.into(),
        created_at: String::new(),
        origin: origin.map(str::to_owned),
    };
    let existing = [
        version("0.0.9", None),
        version("0.1.0", Some("0.0.2")),
        version("draft.s", None),
    ];
    let next = store.publish(None, false, &existing).unwrap().manifest;
    assert_eq!(next.bundle_version, "0.1.1");
    let lineage = json!({"bundle_id": "b", "bundle_version": "0.1.1", "origin_bundle_version": "0.0.2", "previous_bundle_version": "0.1.0"});
    assert_eq!(next.metadata["lineage"], lineage);
    assert_eq!(ExistingVersion::from(&next).origin.as_deref(), Some("0.0.2"));
    assert_eq!(
        store
            .publish(None, false, &existing[2..])
            .unwrap()
            .manifest
            .bundle_version,
        "0.0.0"
    );

    let taken = store.publish(Some("draft.s"), false, &existing).unwrap_err();
    assert_eq!(
        taken,
        "400 bundle_version 'draft.s' already exists for bundle 'b'"
    );
    let draft = store
        .publish(Some(" draft.s "), true, &existing)
        .unwrap()
        .manifest;
    assert_eq!(draft.metadata["lifecycle"]["channel"], "draft");
    let odd = store.publish(Some("1 0"), false, &[]).unwrap_err();
    assert_eq!(
        odd,
        "400 Bundle version '1 0' contains unsafe characters. Publish with a safe bundle_version (suggested: '1-0')."
    );
}

#[test]
fn missing_subflows_are_named() {
    let store = Store::new(&[("root", &["b", "ghost2"]), ("b", &["ghost1", "x/../y"])]);
    assert_eq!(
        store.publish(None, false, &[]).unwrap_err(),
        "400 Failed to publish bundle: Missing referenced subflows in flows_dir: ['ghost1', 'ghost2', 'x/../y']"
    );
}

#[test]
fn the_bundle_id() {
    let root = flow("x", &[]);
    let named =
        |requested| publish_bundle_id(requested, &root, "12345678").map_err(|error| error.to_string());
    assert_eq!(named(None).unwrap(), "My-x");
    assert_eq!(named(Some(" ")).unwrap(), "My-x");
    assert_eq!(named(Some(" own ")).unwrap(), "own");
    assert!(named(Some("a b")).unwrap_err().contains("(suggested: 'a-b')"));
    let unnamed: Value = json!({"name": "??"});
    assert_eq!(
        publish_bundle_id(None, unnamed.as_object().unwrap(), "12345678").unwrap(),
        "12345678"
    );
}
