//! Uploads, search, bytes, imports and exports.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ag_artifacts::{BlobId, MemoryBlobs};
use ag_config::Config;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    Extensions,
    routes::testing::form,
    testkit::{Answer, Ground, Node, Seed, request},
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
async fn uploads() {
    let node = Node::with(|config| config.limits.max_attachment_bytes = Some(10));
    let stored = attach(&node, "s", "dir\\a.txt", "text/plain", b"hello").await;
    assert_eq!(
        (&stored["ok"], &stored["run_id"]),
        (&json!(true), &json!("session_memory_s"))
    );
    assert_eq!(stored["attachment"], stored["artifact"]);
    assert_eq!(stored["metadata"]["tags"]["path"], "client:a.txt");
    assert_eq!(stored["artifact"]["$artifact"], stored["metadata"]["artifact_id"]);
    let again = attach(&node, "s", "b.txt", "text/plain", b"hello").await;
    assert_eq!(
        again["artifact"]["$artifact"], stored["artifact"]["$artifact"],
        "same bytes, same id"
    );
    assert_eq!(again["metadata"]["tags"]["filename"], "b.txt");
    let large = node
        .send(form(
            UPLOAD,
            &[("session_id", "s")],
            Some(("a", "text/plain", &[b'x'; 11])),
        ))
        .await;
    assert_eq!(
        large.refusal(),
        (413, "Attachment too large (11 bytes > 10 bytes)".to_owned())
    );
    let blank = node
        .send(form(
            UPLOAD,
            &[("session_id", " ")],
            Some(("a", "text/plain", b"x")),
        ))
        .await;
    assert_eq!(blank.refusal(), (400, "session_id is required".to_owned()));
    let nothing = node.send(form(UPLOAD, &[], None)).await;
    let missing: Vec<Value> = nothing.json()["detail"]
        .as_array()
        .expect("list")
        .iter()
        .map(|i| i["loc"][1].clone())
        .collect();
    assert_eq!(missing, ["file", "session_id"]);
}

/// A form that arrives in pieces of 16 KiB without a length; how many bytes of it were taken.
fn piecewise(whole: Vec<u8>, broken: bool) -> (Body, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let seen = taken.clone();
    let pieces = whole
        .chunks(16 * 1024)
        .map(Bytes::copy_from_slice)
        .collect::<Vec<_>>();
    let pieces = stream::iter(pieces).map(move |piece| {
        seen.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece)
    });
    let end = broken.then(|| Err(std::io::Error::other("the client is gone")));
    (Body::from_stream(pieces.chain(stream::iter(end))), taken)
}

fn framed(content: &[u8]) -> Vec<u8> {
    let head = "--b\r\ncontent-disposition: form-data; name=\"session_id\"\r\n\r\ns\r\n--b\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
    [head.as_bytes(), content, b"\r\n--b--\r\n"].concat()
}

fn upload(path: &str, body: Body) -> http::Request<Body> {
    let request = request("POST", path).header("content-type", "multipart/form-data; boundary=b");
    request.body(body).expect("request")
}

#[tokio::test]
async fn an_upload_is_never_read_far_beyond_its_limit() {
    const MAX: u64 = 100_000;
    let blobs = Arc::new(MemoryBlobs::default());
    let ground = Ground {
        blobs: blobs.clone(),
        ..Ground::default()
    };
    let limited = |config: &mut Config| {
        config.limits.max_attachment_bytes = Some(MAX);
        config.limits.max_bundle_bytes = MAX;
    };
    let node = Node::over(ground, limited, |_| Extensions::default());
    for (path, word) in [(UPLOAD, "Attachment"), ("/api/gateway/bundles/upload", "Bundle")] {
        let (body, taken) = piecewise(framed(&vec![b'x'; 2_000_000]), false);
        let (status, detail) = node.send(upload(path, body)).await.refusal();
        assert_eq!(status, 413);
        assert!(detail.starts_with(&format!("{word} too large (")), "{detail}");
        let taken = taken.load(Ordering::Relaxed);
        assert!(
            taken <= MAX + 64 * 1024 + 2 * 64 * 1024,
            "{taken} bytes were taken"
        );
    }
    // A field is no way around it.
    let mut long = b"--b\r\ncontent-disposition: form-data; name=\"session_id\"\r\n\r\n".to_vec();
    long.resize(1_200_000, b'x');
    let (body, _) = piecewise(long.clone(), false);
    assert_eq!(node.send(upload(UPLOAD, body)).await.status.as_u16(), 400);
    // Nor is what surrounds the parts.
    let mut prose = vec![b'x'; 3_000_000];
    prose.extend(framed(b"y"));
    let (body, taken) = piecewise(prose, false);
    let (status, detail) = node.send(upload(UPLOAD, body)).await.refusal();
    assert!(
        status == 413 && detail.starts_with("Payload Too Large ("),
        "{status} {detail}"
    );
    assert!(
        taken.load(Ordering::Relaxed) < 2_400_000,
        "the limit of the whole body"
    );
    // Who breaks off gets nothing and leaves nothing.
    let mut half = framed(&vec![b'x'; 90_000]);
    half.truncate(50_000);
    let (body, _) = piecewise(half, true);
    assert_eq!(node.send(upload(UPLOAD, body)).await.status.as_u16(), 400);
    assert!(blobs.is_empty());
    assert_eq!(node.get("/api/gateway/artifacts/search").await.json()["total"], 0);
}

#[tokio::test]
async fn large_files_pass_through_whole() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().to_owned();
    let node = Node::with(move |config| config.workspace.dir = Some(root));
    let whole: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (body, _) = piecewise(framed(&whole), false);
    let answer = node.send(upload(UPLOAD, body)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let stored = answer.json();
    let id = ag_artifacts::artifact_id(Some("session_memory_s"), &whole);
    let blob = BlobId::of(&whole).to_string();
    assert_eq!(stored["metadata"]["artifact_id"], id.as_str());
    assert_eq!(stored["metadata"]["blob_id"], blob.as_str());
    assert_eq!(stored["metadata"]["tags"]["sha256"], blob.as_str());
    assert_eq!(stored["metadata"]["size_bytes"], 3_000_000);
    let content = format!("/api/gateway/runs/session_memory_s/artifacts/{id}/content");
    assert_eq!(node.get(&content).await.body, whole);
    fs::write(dir.path().join("large.bin"), &whole).expect("file");
    let body = json!({"session_id": "s", "path": "large.bin"});
    let imported = node.post("/api/gateway/artifacts/import", &body).await.json();
    assert_eq!(
        imported["metadata"]["artifact_id"],
        id.as_str(),
        "read in pieces as well"
    );
    assert_eq!(imported["metadata"]["tags"]["sha256"], blob.as_str());
    let part = request("GET", &content).header("range", "bytes=2999990-");
    let part = node.send(part.body(Body::empty()).expect("request")).await;
    assert_eq!(
        (part.status.as_u16(), part.body),
        (206, whole[2_999_990..].to_vec())
    );
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

async fn ranged(node: &Node, path: &str, range: &str) -> Answer {
    node.send(
        request("GET", path)
            .header("range", range)
            .body(Body::empty())
            .expect("request"),
    )
    .await
}

#[tokio::test]
async fn bytes_and_their_headers() {
    let node = Node::new();
    let page = attach(&node, "s", "p\u{e9}.html", "text/html", b"<script>1</script>").await;
    let id = page["artifact"]["$artifact"].as_str().expect("id").to_owned();
    let run = node
        .store_run(Seed {
            session: Some("s".into()),
            ..Seed::default()
        })
        .await;
    let stranger = node.store_run(Seed::default()).await;
    let path = format!("/api/gateway/runs/{run}/artifacts/{id}");
    let whole = node.get(&format!("{path}/content")).await;
    assert_eq!(
        (whole.status.as_u16(), whole.body.as_slice()),
        (200, &b"<script>1</script>"[..])
    );
    assert_eq!(whole.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert!(
        whole
            .header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("sandbox; default-src 'none'"))
    );
    assert_eq!(
        whole.header("content-disposition"),
        Some("inline; filename*=UTF-8''p%C3%A9.html")
    );
    assert_eq!(whole.header("etag"), None);
    let download = node.get(&format!("{path}/content?access=download")).await;
    assert!(
        download
            .header("content-disposition")
            .is_some_and(|value| value.starts_with("attachment"))
    );
    let part = ranged(&node, &format!("{path}/content"), "bytes=1-6").await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "script"));
    assert_eq!(part.header("content-range"), Some("bytes 1-6/18"));
    let beyond = ranged(&node, &format!("{path}/content"), "bytes=99-").await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.header("content-range")),
        (416, Some("bytes */18"))
    );
    let many = format!("bytes={}", vec!["0-1"; 1000].join(","));
    let several = ranged(&node, &format!("{path}/content"), &many).await;
    assert_eq!((several.status.as_u16(), several.body.len()), (200, 18));

    let meta = node.get(&path).await.json();
    assert_eq!(
        (
            &meta["access"]["content_access_count"],
            &meta["access"]["download_count"]
        ),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        meta["access"]["metadata_access_count"], 1,
        "the answer counts itself"
    );
    assert_eq!(
        meta["artifact_envelope_v1"]["schema"],
        "abstractgateway.artifact_envelope.v1"
    );
    for (path, status, detail) in [
        (
            format!("/api/gateway/runs/{stranger}/artifacts/{id}"),
            404,
            "artifact not found".to_owned(),
        ),
        (
            format!("/api/gateway/runs/{run}/artifacts/abc"),
            404,
            "Artifact 'abc' not found".to_owned(),
        ),
        (
            format!("/api/gateway/runs/{run}/artifacts/a.b"),
            400,
            "Invalid artifact id: a.b".to_owned(),
        ),
        (
            format!("/api/gateway/runs/x/artifacts/{id}/content"),
            404,
            "Run 'x' not found".to_owned(),
        ),
    ] {
        assert_eq!(node.get(&path).await.refusal(), (status, detail));
    }
    let pdf = attach(&node, "s", "a.pdf", "application/pdf", b"%PDF").await;
    let id = pdf["artifact"]["$artifact"].as_str().expect("id");
    let pdf = node
        .get(&format!(
            "/api/gateway/runs/session_memory_s/artifacts/{id}/content"
        ))
        .await;
    assert_eq!(
        (
            pdf.header("content-security-policy"),
            pdf.header("x-content-type-options")
        ),
        (None, Some("nosniff"))
    );
    let fields = [("session_id", "s"), ("content_type", "te\u{1}xt")];
    let odd = node
        .send(form(UPLOAD, &fields, Some(("x", "text/plain", b"odd"))))
        .await
        .json();
    let id = odd["artifact"]["$artifact"].as_str().expect("id");
    let odd = node
        .get(&format!(
            "/api/gateway/runs/session_memory_s/artifacts/{id}/content"
        ))
        .await;
    assert_eq!(odd.header("content-type"), Some("application/octet-stream"));
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
