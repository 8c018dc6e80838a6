use std::io;

use ag_artifacts::{
    ArtifactMeta, BlobId, BlobReader, BlobStore, ByteRange, ByteStream, ScopeKey, StoredBlob,
};
use ag_store::ArtifactIndex as _;
use async_trait::async_trait;

use super::*;
use crate::test_kit::World;

fn batch(results: Value) -> Value {
    json!({"mode": "executed", "results": results})
}

async fn content(world: &World, reference: &Value) -> String {
    let id = reference["artifact_id"].as_str().expect("id");
    let row = world
        .store
        .artifact(&world.scope, id)
        .await
        .expect("store")
        .expect("row");
    let blob = BlobId::parse(&row.blob_id).expect("blob id");
    let scope = crate::artifacts::blob_scope(&world.scope);
    let content = world
        .blobs
        .get(&scope, &blob)
        .await
        .expect("store")
        .expect("blob");
    String::from_utf8(content.to_vec()).expect("text")
}

fn record(row: &ag_store::MemoryRow) -> Value {
    let ag_store::MemoryRow::Span(entry) = row else {
        panic!("{row:?}")
    };
    let body: Value = serde_json::from_str(&entry.body).expect("object");
    body["record"].clone()
}

#[tokio::test]
async fn bulky_fields_move_out_of_the_state() {
    let world = World::new(vec![]);
    let fetched = json!({"url": "https://e.org/", "content_type": "text/html", "raw_text": "<p>hi</p>",
        "normalized_text": "hi", "rendered": "hi"});
    let stored = batch(json!([
        {"call_id": "f", "runtime_call_id": "rt", "name": "fetch_url", "success": true, "output": fetched, "error": null},
        {"call_id": "r", "name": "read_file", "success": true, "output": "x", "error": null},
        {"call_id": "s", "name": "web_search", "success": true, "output": "{\"results\": []}", "error": null},
    ]));
    let calls = [json!({"name": "fetch_url", "arguments": {"url": "https://e.org/"}})];
    let captured = capture(&world.ctx(), &calls, &stored).await;
    let state = captured.state.expect("state");
    let output = &state["results"][0]["output"];
    assert_eq!(output["rendered"], "hi");
    assert!(
        output.get("raw_text").is_none() && output.get("normalized_text").is_none(),
        "{output}"
    );
    for row in &captured.artifacts {
        world
            .store
            .put_artifact(&world.scope, row.clone())
            .await
            .expect("row");
    }
    assert_eq!(content(&world, &output["raw_artifact"]).await, "<p>hi</p>");
    assert_eq!(output["raw_artifact"]["content_type"], "text/html");
    assert_eq!(content(&world, &output["normalized_artifact"]).await, "hi");
    assert_eq!(state["results"][1], stored["results"][1]);
    assert_eq!(state["results"][2]["output"], stored["results"][2]["output"]);
    let id = state["results"][0]["meta"]["evidence_id"].clone();
    let document: Value =
        serde_json::from_str(&content(&world, &json!({"artifact_id": id})).await).expect("document");
    assert_eq!(document["arguments"], json!({"url": "https://e.org/"}));
    assert_eq!(document["artifacts"]["raw"], output["raw_artifact"]);
    assert_eq!((captured.changes.len(), captured.memory.len()), (0, 2));
    let spans: Vec<Value> = captured.memory.iter().map(record).collect();
    assert_eq!(
        (&spans[0]["kind"], &spans[0]["artifact_id"]),
        (&json!("evidence"), &id)
    );
    assert_eq!(
        spans[0]["tags"],
        json!({"tool_name": "fetch_url", "url": "https://e.org/"})
    );
    let rows = captured.artifacts;
    let meta: ArtifactMeta = serde_json::from_str(&rows[0].meta).expect("meta");
    assert_eq!(
        (meta.tag("kind"), meta.tag("tool_name")),
        (Some("evidence"), Some("fetch_url"))
    );
    assert_eq!(rows.len(), 5, "two parts and a record, one part and a record");
}

/// As recorded: a blocked call is marked in the state and nowhere else.
#[tokio::test]
async fn failures_are_evidence_too() {
    let world = World::new(vec![]);
    let blocked = json!({"call_id": "a", "runtime_call_id": "rt", "name": "execute_command", "success": false,
        "output": null, "error": "Tool 'execute_command' is not allowed for this node"});
    let stored = batch(json!([blocked]));
    let captured = capture(&world.ctx(), &[], &stored).await;
    let mut expected = blocked;
    let state = captured.state.expect("state");
    expected["meta"] = json!({"evidence_id": state["results"][0]["meta"]["evidence_id"]});
    assert_eq!(state["results"][0], expected);
    assert_eq!(expected["meta"]["evidence_id"].as_str().map(str::len), Some(32));
    assert_eq!(captured.artifacts.len(), 1);
}

#[tokio::test]
async fn outputs_that_nothing_else_shows_stay_while_small() {
    let world = World::new(vec![]);
    for (length, stays) in [(10, true), (SMALL_BYTES + 1, false)] {
        let output = json!({"stdout": "x".repeat(length)});
        let stored = batch(json!([{"name": "execute_command", "success": true, "output": output}]));
        let state = capture(&world.ctx(), &[], &stored).await.state.expect("state");
        assert_eq!(
            state["results"][0]["output"].get("stdout").is_some(),
            stays,
            "{length}"
        );
        assert_eq!(
            state["results"][0]["output"].get("stdout_artifact").is_some(),
            !stays,
            "{length}"
        );
    }
}

#[tokio::test]
async fn other_results_are_left_alone() {
    let world = World::new(vec![]);
    for stored in [
        batch(json!([{"name": "read_file"}])),
        json!({"answer": 1}),
        json!(null),
        batch(json!([1])),
    ] {
        let captured = capture(&world.ctx(), &[], &stored).await;
        assert!(captured.state.is_none() && captured.memory.is_empty() && captured.artifacts.is_empty());
    }
}

struct Full;

fn full<T>() -> Result<T, BlobError> {
    Err(BlobError::Source(io::Error::other("disk full")))
}

#[async_trait]
impl BlobStore for Full {
    async fn put(&self, _: &ScopeKey, _: Bytes) -> Result<StoredBlob, BlobError> {
        full()
    }
    async fn put_stream(&self, _: &ScopeKey, _: ByteStream, _: u64) -> Result<StoredBlob, BlobError> {
        full()
    }
    async fn get(&self, _: &ScopeKey, _: &BlobId) -> Result<Option<Bytes>, BlobError> {
        full()
    }
    async fn open(&self, _: &ScopeKey, _: &BlobId, _: ByteRange) -> Result<Option<BlobReader>, BlobError> {
        full()
    }
    async fn size(&self, _: &ScopeKey, _: &BlobId) -> Result<Option<u64>, BlobError> {
        full()
    }
}

#[tokio::test]
async fn a_full_disk_leaves_a_warning() {
    let world = World::new(vec![]);
    let stored = batch(json!([{"call_id": "c", "name": "web_search", "success": true, "output": "text"}]));
    let ctx = EffectCtx {
        depth: 0,
        blobs: &Full,
        ..world.ctx()
    };
    let captured = capture(&ctx, &[], &stored).await;
    assert_eq!(captured.state.as_ref(), Some(&stored), "nothing is marked");
    assert!(captured.artifacts.is_empty());
    let [VarChange::Append(path, warnings)] = captured.changes.as_slice() else {
        panic!("{:?}", captured.changes)
    };
    assert_eq!(path, "_runtime.evidence_warnings");
    assert_eq!(
        (&warnings[0]["tool_name"], &warnings[0]["call_id"]),
        (&json!("web_search"), &json!("c"))
    );
}
