//! The adapter against a server.

mod support;

use std::{
    io,
    time::{Duration, SystemTime},
};

use ag_artifacts::{
    BlobError, BlobId, BlobMaintenance as _, BlobStore as _, ByteRange, ScopeKey, conformance,
};
use ag_artifacts_s3::{PART_BYTES, S3Credentials, S3Settings};
use axum::http::Method;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use support::{S3, bounded};

fn scope() -> ScopeKey {
    ScopeKey::plane("Tenant", "r.1")
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let s3 = S3::start().await;
    bounded(conformance::check(&s3.blobs())).await;
    assert_eq!(s3.bucket.open_uploads(), 0);
}

#[tokio::test]
async fn keys() {
    let s3 = S3::start().await;
    let blobs = s3.blobs();
    let stored = blobs
        .put(&scope(), Bytes::from_static(b"abc"))
        .await
        .expect("put");
    let id = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(stored.id.to_string(), id);
    assert_eq!(
        s3.bucket.keys(),
        [format!("gateway/a b/%54enant/r.1/artifacts/blobs/ba/{id}")]
    );
}

#[tokio::test]
async fn wrong_keys_are_refused_and_not_shown() {
    let s3 = S3::start().await;
    let wrong = S3Settings {
        credentials: S3Credentials::Keys {
            id: support::KEY_ID.into(),
            secret: "canary-wrong".into(),
        },
        ..s3.settings()
    };
    let blobs = wrong.open().expect("settings");
    let error = blobs
        .put(&scope(), Bytes::from_static(b"abc"))
        .await
        .expect_err("refused");
    let text = format!("{error} {error:?}");
    assert!(text.contains("the signature does not match"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(s3.bucket.keys().is_empty());
}

/// A large value passes in parts: the server refuses bodies above one part.
#[tokio::test]
async fn large_values_go_in_parts() {
    let s3 = S3::start().await;
    let blobs = s3.blobs();
    let content = Bytes::from(vec![3u8; 2 * PART_BYTES + 1]);
    let stored = bounded(blobs.put(&scope(), content.clone())).await.expect("put");
    assert_eq!(stored.id, BlobId::of(&content));
    assert_eq!(s3.bucket.parts(), 3);
    let mut reader = blobs
        .open(&scope(), &stored.id, ByteRange::ALL)
        .await
        .expect("open")
        .expect("present");
    let mut read = 0;
    while let Some(chunk) = reader.stream.next().await {
        let chunk = chunk.expect("chunk");
        assert!(chunk.len() < PART_BYTES, "the answer is streamed, not collected");
        read += chunk.len();
    }
    assert_eq!(read, content.len());
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again() {
    let s3 = S3::start().await;
    let blobs = s3.blobs();
    s3.bucket.fail(Method::PUT, 2);
    let stored = bounded(blobs.put(&scope(), Bytes::from_static(b"abc")))
        .await
        .expect("at the third attempt");
    s3.bucket.fail(Method::GET, 1);
    let found = bounded(blobs.get(&scope(), &stored.id)).await.expect("again");
    assert_eq!(found.expect("present"), "abc");
}

#[tokio::test]
async fn an_upload_that_fails_is_taken_back() {
    let s3 = S3::start().await;
    let blobs = s3.blobs();
    let parts = [
        Ok(Bytes::from(vec![1u8; PART_BYTES])),
        Ok(Bytes::from_static(b"more")),
        Err(io::Error::other("cut")),
    ];
    let broken = blobs
        .put_stream(&scope(), stream::iter(parts).boxed(), u64::MAX)
        .await;
    assert!(matches!(broken, Err(BlobError::Source(_))));
    // Nothing was sent: the name of a blob is known at its end only.
    assert_eq!((s3.bucket.open_uploads(), s3.bucket.parts()), (0, 0));
    // All attempts of one part, of several: six each.
    s3.bucket.fail(Method::PUT, 1_000);
    let refused = bounded(blobs.put(&scope(), Bytes::from(vec![2u8; PART_BYTES + 1]))).await;
    assert!(matches!(refused, Err(BlobError::Store { .. })));
    assert_eq!(s3.bucket.open_uploads(), 0, "the upload was aborted");
    assert!(s3.bucket.keys().is_empty());
}

#[tokio::test]
async fn writing_again_makes_a_blob_young() {
    let s3 = S3::start().await;
    let blobs = s3.blobs();
    let content = Bytes::from_static(b"abc");
    blobs.put(&scope(), content.clone()).await.expect("put");
    s3.bucket.age(Duration::from_secs(7_200));
    let hour_ago = SystemTime::now() - Duration::from_secs(3_600);
    assert!(blobs.list(&scope(), None, 1).await.expect("list")[0].modified < hour_ago);
    blobs.put(&scope(), content).await.expect("put");
    assert!(blobs.list(&scope(), None, 1).await.expect("list")[0].modified > hour_ago);
}
