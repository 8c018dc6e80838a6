//! Artifact rows.

use super::bench::{Bench, SECOND};
use crate::{ArtifactFilter, ArtifactOrder, ArtifactRow, Placement};

pub(super) fn artifact(b: &Bench, id: &str, run_id: Option<&str>, blob: &str) -> ArtifactRow {
    ArtifactRow {
        artifact_id: id.to_owned(),
        run_id: run_id.map(str::to_owned),
        blob_id: blob.to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes: 5_000_000_000,
        created_at: b.now(),
        semantic_kind: "note".to_owned(),
        render_kind: "text".to_owned(),
        modality: "text".to_owned(),
        session_id: None,
        meta: r#"{"b":1,"a":2}"#.into(),
    }
}

async fn list(b: &Bench, filter: ArtifactFilter) -> Vec<String> {
    let rows = b.store.artifacts(&b.root(), filter).await.expect("list");
    rows.into_iter().map(|row| row.artifact_id).collect()
}

pub(super) async fn rows_are_kept_and_filtered(b: Bench) {
    let begin = b.now();
    for (id, run, session) in [
        ("a", Some("r1"), None),
        ("b", Some("r2"), Some("s")),
        ("c", Some("memory"), Some("s")),
        ("d", None, None),
    ] {
        let row = ArtifactRow {
            session_id: session.map(str::to_owned),
            ..artifact(&b, id, run, "x")
        };
        b.store.put_artifact(&b.root(), row).await.expect("put");
        b.clock.advance(SECOND);
    }
    let any = ArtifactFilter::default;
    let runs = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(list(&b, any()).await, ["d", "c", "b", "a"]);
    assert_eq!(
        list(
            &b,
            ArtifactFilter {
                order: ArtifactOrder::OldestFirst,
                limit: 2,
                ..any()
            }
        )
        .await,
        ["a", "b"]
    );
    assert_eq!(
        list(
            &b,
            ArtifactFilter {
                run_ids: runs(&["r1", "memory"]),
                ..any()
            }
        )
        .await,
        ["c", "a"]
    );
    let both = ArtifactFilter {
        run_ids: runs(&["r1"]),
        or_session_id: Some("s".to_owned()),
        ..any()
    };
    assert_eq!(list(&b, both).await, ["c", "b", "a"]);
    assert_eq!(
        list(
            &b,
            ArtifactFilter {
                or_session_id: Some("s".to_owned()),
                ..any()
            }
        )
        .await,
        ["c", "b"]
    );
    let (from, to) = (begin.plus_micros(SECOND), begin.plus_micros(2 * SECOND));
    let window = ArtifactFilter {
        created_after: Some(from),
        created_before: Some(to),
        ..any()
    };
    assert_eq!(list(&b, window).await, ["c", "b"]);
    let replaced = artifact(&b, "a", None, "y");
    b.store
        .put_artifact(&b.root(), replaced.clone())
        .await
        .expect("put");
    assert_eq!(
        b.store.artifact(&b.root(), "a").await.expect("read"),
        Some(replaced)
    );
    assert!(
        b.store
            .update_artifact_meta(&b.root(), "a", "{}")
            .await
            .expect("update")
    );
    assert!(
        !b.store
            .update_artifact_meta(&b.root(), "z", "{}")
            .await
            .expect("update")
    );
    assert_eq!(
        &*b.store
            .artifact(&b.root(), "a")
            .await
            .expect("read")
            .expect("present")
            .meta,
        "{}"
    );
    assert!(
        b.store
            .artifact(&b.other_plane().await, "a")
            .await
            .expect("read")
            .is_none()
    );
}

pub(super) async fn blobs_in_use_are_not_reported(b: Bench) {
    for (id, run, blob) in [
        ("a", "r1", "shared"),
        ("b", "r2", "shared"),
        ("c", "r1", "mine"),
        ("d", "r1", "mine"),
    ] {
        b.store
            .put_artifact(&b.root(), artifact(&b, id, Some(run), blob))
            .await
            .expect("put");
    }
    let none = b.store.delete_artifacts_of(&b.root(), &[]).await.expect("delete");
    assert_eq!(none, (0, Vec::new()));
    let (deleted, blobs) = b
        .store
        .delete_artifacts_of(&b.root(), &["r1".to_owned()])
        .await
        .expect("delete");
    assert_eq!((deleted, blobs), (3, vec!["mine".to_owned()]));
    assert_eq!(list(&b, ArtifactFilter::default()).await, ["b"]);
}

pub(super) async fn blobs_in_use_are_found(b: Bench) {
    let other = b.other_plane().await;
    for (scope, id, blob) in [
        (&b.root(), "a", "artifact"),
        (&b.root(), "b", "artifact"),
        (&other, "a", "elsewhere"),
    ] {
        let row = artifact(&b, id, None, blob);
        b.store.put_artifact(scope, row).await.expect("put");
    }
    let ended = b.new_run(Placement::Terminal);
    let bundle = ended.bundle_sha256.clone().expect("of a bundle").to_string();
    b.started_in(&b.root(), ended).await;
    let asked = ["artifact", "elsewhere", &bundle, "nowhere"].map(str::to_owned);
    let used = async |scope| {
        let mut used = b.store.blobs_in_use(scope, &asked).await.expect("read");
        used.sort();
        used
    };
    let root = b.root();
    assert_eq!(used(&root).await, [bundle, "artifact".to_owned()]);
    assert_eq!(used(&other).await, ["elsewhere"]);
    let none = b.store.blobs_in_use(&other, &[]).await.expect("read");
    assert!(none.is_empty());
}
