//! Bytes and their headers.

use axum::body::Body;
use serde_json::json;

use super::{UPLOAD, attach};
use crate::{
    routes::testing::form,
    testkit::{Answer, Node, Seed, request},
};

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
