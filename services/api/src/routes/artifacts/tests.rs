//! Search, imports and exports.

mod content;
mod uploads;

use std::fs;

use serde_json::{Value, json};

use crate::{
    routes::testing::form,
    testkit::{Node, Seed},
};

const UPLOAD: &str = "/api/gateway/attachments/upload";

async fn attach(node: &Node, session: &str, name: &str, kind: &str, content: &[u8]) -> Value {
    let answer = node
        .send(form(
            UPLOAD,
            &[("session_id", session)],
            Some((name, kind, content)),
        ))
        .await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn search_and_listings() {
    let node = Node::new();
    attach(&node, "s", "a.png", "image/png", b"png").await;
    attach(&node, "s", "b.txt", "text/plain", b"text").await;
    attach(&node, "t", "c.txt", "text/plain", b"other").await;
    let total = async |query: &str| {
        let answer = node.get(&format!("/api/gateway/artifacts/search?{query}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{query}: {}", answer.text());
        answer.json()["total"].as_u64().expect("total")
    };
    for (query, expected) in [
        ("", 3),
        ("scope=session&session_id=s", 2),
        ("scope=run&run_id=session_memory_t", 1),
        ("content_type=image/*", 1),
        ("content_type=text/plain", 2),
        ("modality=image", 1),
        ("render_kind=text|image", 3),
        ("artifact_kind=image", 1),
        ("query=B.TXT", 1),
        ("tags=session_id%3Ds,kind:attachment", 2),
        ("created_after=2999", 0),
        ("tags=%7B%22filename%22:%22c.txt%22%7D", 1),
    ] {
        assert_eq!(total(query).await, expected, "{query}");
    }
    let page = node
        .get("/api/gateway/artifacts/search?limit=2&order=asc&include_stats=true")
        .await
        .json();
    assert_eq!(
        (&page["has_more"], &page["stats"]["total_bytes"]),
        (&json!(true), &json!(12))
    );
    let cursor = page["next_cursor"]
        .as_str()
        .expect("cursor")
        .replace('+', "%2B")
        .replace('|', "%7C");
    let rest = node
        .get(&format!(
            "/api/gateway/artifacts/search?limit=2&order=asc&cursor={cursor}"
        ))
        .await
        .json();
    assert_eq!(
        (rest["items"].as_array().map(Vec::len), &rest["next_cursor"]),
        (Some(1), &Value::Null)
    );
    for (query, detail) in [
        ("scope=x", "scope must be one of all|session|run"),
        ("scope=session", "session_id is required when scope=session"),
        ("tags=x", "tags entries must use key=value or key:value"),
    ] {
        let answer = node.get(&format!("/api/gateway/artifacts/search?{query}")).await;
        assert_eq!(answer.refusal(), (400, detail.to_owned()));
    }
    assert_eq!(
        node.get("/api/gateway/artifacts/search?limit=-2")
            .await
            .status
            .as_u16(),
        422
    );
    let stats = node
        .get("/api/gateway/artifacts/stats?scope=session&session_id=s")
        .await
        .json();
    assert_eq!(
        (&stats["total"], &stats["facets"]["render_kind"]["image"]),
        (&json!(2), &json!(1))
    );

    let session = node.get("/api/gateway/sessions/s/artifacts?limit=1").await.json();
    assert_eq!(
        (&session["total"], &session["has_more"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        node.get("/api/gateway/sessions/new/artifacts").await.json()["total"],
        0
    );
    assert_eq!(
        node.get("/api/gateway/runs/session_memory_t/artifacts")
            .await
            .json()["total"],
        1
    );
    let run = node.store_run(Seed::default()).await;
    assert_eq!(
        node.get(&format!("/api/gateway/runs/{run}/artifacts"))
            .await
            .json()["total"],
        0
    );
    assert_eq!(
        node.get("/api/gateway/runs/nope/artifacts").await.refusal(),
        (404, "Run 'nope' not found".to_owned())
    );
    assert_eq!(
        node.get("/api/gateway/runs/a%00b/artifacts").await.refusal().0,
        404
    );
}

#[tokio::test]
async fn between_artifacts_and_files() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().join("ws");
    fs::create_dir_all(root.join("build")).expect("folders");
    fs::write(root.join("in.csv"), "a,b").expect("file");
    fs::write(root.join("build/x"), "x").expect("file");
    let workspace = root.clone();
    let node = Node::with(move |config| config.workspace.dir = Some(workspace));
    let import = "/api/gateway/artifacts/import";
    let body = json!({"session_id": "s", "source": {"path": "in.csv"}, "pin_id": "p", "tags": {"kind": "x", "n": 1}});
    let stored = node.post(import, &body).await.json();
    let tags = &stored["metadata"]["tags"];
    assert_eq!(
        (
            &tags["kind"],
            &tags["purpose"],
            &tags["pin_id"],
            &tags["n"],
            &tags["path"]
        ),
        (
            &json!("run_input"),
            &json!("run_input"),
            &json!("p"),
            &json!("1"),
            &json!("in.csv")
        )
    );
    assert!(stored.get("attachment").is_none());
    let ingest = node
        .post(
            "/api/gateway/attachments/ingest",
            &json!({"session_id": "s", "path": "in.csv"}),
        )
        .await
        .json();
    assert_eq!(ingest["metadata"]["tags"]["kind"], "attachment");
    assert_eq!(ingest["attachment"], ingest["artifact"]);
    for (body, status, detail) in [
        (json!({"session_id": "s"}), 400, "path is required"),
        (
            json!({"session_id": " ", "path": "in.csv"}),
            400,
            "session_id is required",
        ),
        (
            json!({"session_id": "s", "source": {"kind": "url"}}),
            400,
            "source.kind must be 'workspace_path'",
        ),
        (
            json!({"session_id": "s", "path": "../x"}),
            403,
            "path escapes workspace root",
        ),
        (
            json!({"session_id": "s", "path": "/etc/hosts"}),
            403,
            "path is outside workspace roots",
        ),
        (
            json!({"session_id": "s", "path": "build/x"}),
            403,
            "Path is ignored by .abstractignore policy",
        ),
        (json!({"session_id": "s", "path": "nope"}), 404, "File not found"),
        (json!({"session_id": "s", "path": "."}), 400, "Path is not a file"),
        (
            json!({"session_id": "s", "path": "in.csv", "workspace_root": "/"}),
            200,
            "",
        ),
    ] {
        assert_eq!(
            node.post(import, &body).await.refusal(),
            (status, detail.to_owned()),
            "{body}"
        );
    }

    let id = stored["artifact"]["$artifact"].as_str().expect("id");
    let export = format!("/api/gateway/runs/session_memory_s/artifacts/{id}/export");
    for (body, status, detail) in [
        (json!({}), 400, "path is required"),
        (json!({"path": "."}), 400, "Destination path is a directory"),
        (
            json!({"path": "in.csv/x"}),
            400,
            "Destination parent is not a directory",
        ),
        (
            json!({"path": "new/out.csv"}),
            404,
            "Destination parent directory does not exist",
        ),
        (
            json!({"path": "in.csv"}),
            409,
            "Destination already exists; set overwrite=true to replace it",
        ),
        (json!({"path": "../out"}), 403, "path escapes workspace root"),
        (
            json!({"path": "build/out"}),
            403,
            "Path is ignored by .abstractignore policy",
        ),
    ] {
        assert_eq!(
            node.post(&export, &body).await.refusal(),
            (status, detail.to_owned()),
            "{body}"
        );
    }
    let written = node
        .post(
            &export,
            &json!({"destination": "new/out.csv", "create_parent_dirs": true}),
        )
        .await
        .json();
    assert_eq!(
        (&written["path"], &written["bytes_written"]),
        (&json!("new/out.csv"), &json!(3))
    );
    assert_eq!(fs::read_to_string(root.join("new/out.csv")).expect("file"), "a,b");
    let replaced = node
        .post(&export, &json!({"path": "new/out.csv", "overwrite": true}))
        .await;
    assert_eq!(replaced.status.as_u16(), 200, "{}", replaced.text());
    assert_eq!(
        fs::read_dir(root.join("new")).expect("folder").count(),
        1,
        "no temporary file stays"
    );
}
