//! Uploads, small and large.

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

use super::{UPLOAD, attach};
use crate::{
    Extensions,
    routes::testing::form,
    testkit::{Ground, Node, request},
};

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
