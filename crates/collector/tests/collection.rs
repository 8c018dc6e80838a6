//! What is collected and what is spared.

mod support;

use std::{sync::Arc, time::Duration};

use ag_artifacts::{BlobId, BlobMaintenance as _, BlobStore as _, LocalBlobs};
use ag_collector::{Collected, Collector, Mode};
use ag_store::{ArtifactIndex as _, Document, DocumentKind, Documents as _, PutMode};
use ag_telemetry::metrics::Metrics;
use ag_types::{Clock as _, SystemClock, SystemIds};
use bytes::Bytes;
use support::{GRACE, Meddler, World};

#[tokio::test]
async fn what_nothing_names_goes_in_two_steps() {
    let world = World::new();
    let old = world.old_blob("old").await;
    let young = world
        .blobs
        .put(&world.key, Bytes::from("young"))
        .await
        .expect("put")
        .id;
    let first = world.collect().await;
    assert_eq!(
        first,
        Collected {
            planes: 1,
            blobs: 2,
            retired: 1,
            retired_bytes: 3,
            waiting: 1,
            ..Collected::default()
        }
    );
    assert_eq!(
        world.read(&old).await.as_deref(),
        Some(&b"old"[..]),
        "still readable"
    );
    assert_eq!(
        world.collect().await.discarded,
        0,
        "the second look comes a grace later"
    );
    world.pass(GRACE);
    let second = world.collect().await;
    assert_eq!((second.discarded, second.discarded_bytes), (1, 3));
    assert_eq!(world.read(&old).await, None);
    // Time passes for the store's clock only here; the young blob's age is the medium's.
    assert!(world.read(&young).await.is_some());
}

#[tokio::test]
async fn references_of_every_kind_keep_a_blob() {
    let world = World::new();
    let artifact = world.old_blob("artifact").await;
    world.artifact("a", &artifact).await;
    let bundle = world.old_blob("bundle of a run").await;
    world.ended_run(&bundle).await;
    let installed = world.old_blob("installed bundle").await;
    for kind in DocumentKind::ALL {
        let id = world.old_blob(kind.as_str()).await;
        let document = Document {
            id: "d".to_owned(),
            body: format!(r#"{{"nested":{{"sha256":"{id}"}},"more":["{installed}"]}}"#),
            updated_at: SystemClock.now(),
        };
        world
            .store
            .put_document(&world.plane, *kind, document, PutMode::Upsert)
            .await
            .expect("document");
    }
    let done = world.collect().await;
    assert_eq!(
        (done.blobs, done.retired),
        (3 + DocumentKind::ALL.len() as u64, 0)
    );
}

#[tokio::test]
async fn a_purge_makes_its_blobs_collectable() {
    let world = World::new();
    let (mine, shared) = (world.old_blob("mine").await, world.old_blob("shared").await);
    world.artifact_of("a", "purged", &mine).await;
    world.artifact_of("b", "purged", &shared).await;
    world.artifact_of("c", "kept", &shared).await;
    assert_eq!(world.collect().await.retired, 0);
    world
        .store
        .delete_artifacts_of(&world.plane, &["purged".to_owned()])
        .await
        .expect("purged");
    assert_eq!(world.collect().await.retired, 1);
    world.pass(GRACE);
    assert_eq!(world.collect().await.discarded, 1);
    assert_eq!(world.read(&mine).await, None);
    assert!(world.read(&shared).await.is_some());
}

#[tokio::test]
async fn planes_are_collected_apart() {
    let world = World::new();
    let other = world.other_plane().await;
    let id = world.old_blob("same bytes").await;
    world.old_blob_in(&other, "same bytes").await;
    world.artifact("a", &id).await;
    let done = world.collect().await;
    assert_eq!((done.planes, done.blobs, done.retired), (2, 2, 1));
    let left = world.blobs.list(&other.1, None, 10).await.expect("list");
    assert!(left.is_empty(), "the reference of another plane keeps nothing");
    assert!(world.read(&id).await.is_some());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::new();
    world.old_blob("one").await;
    let dry = world.collect_as(Mode::DryRun).await;
    assert_eq!((dry.retired, dry.retired_bytes), (1, 3));
    assert_eq!(world.collect().await, dry, "and says what would be done");
}

/// The bytes are put and named again between the two looks.
#[tokio::test]
async fn what_is_named_again_during_the_grace_is_restored() {
    let world = World::new();
    let id = world.old_blob("again").await;
    assert_eq!(world.collect().await.retired, 1);
    // A row without a put: the writer's put came just before the retirement.
    world.artifact("a", &id).await;
    world.pass(GRACE);
    let done = world.collect().await;
    assert_eq!((done.restored, done.discarded), (1, 0));
    assert_eq!(
        world.blobs.list(&world.key, None, 10).await.expect("list").len(),
        1
    );
    assert_eq!(
        world.collect().await,
        Collected {
            planes: 1,
            blobs: 1,
            ..Collected::default()
        }
    );
}

/// A writer puts the bytes after the listing and the reading of references, and before the retirement.
#[tokio::test]
async fn a_put_in_the_middle_of_a_collection_loses_nothing() {
    let world = World::new();
    let id = world.old_blob("contended").await;
    let meddler = Meddler::before_retire(&world, "contended");
    assert_eq!(
        world.collect_with(&meddler).await.retired,
        1,
        "the collection could not know"
    );
    assert!(
        world.read(&id).await.is_some(),
        "readable before its row is there"
    );
    world.artifact("a", &id).await;
    assert!(world.read(&id).await.is_some(), "and after");
    world.pass(GRACE);
    let done = world.collect().await;
    assert_eq!((done.restored, done.discarded), (1, 0));
    world.pass(GRACE);
    world.collect().await;
    assert!(world.read(&id).await.is_some());
}

/// Two collections judge the same blobs at the same time, again and again, while writers come and go.
#[tokio::test]
async fn collections_of_several_nodes_agree() {
    let world = World::new();
    let kept = world.old_blob("kept").await;
    world.artifact("a", &kept).await;
    for round in 0..5 {
        for number in 0..20 {
            world.old_blob(&format!("{round} {number}")).await;
        }
        let (one, two, three) = futures::join!(world.collect(), world.collect(), world.collect());
        assert_eq!(
            one.retired + two.retired + three.retired,
            20,
            "each is counted once"
        );
        assert_eq!(one.failures + two.failures + three.failures, 0);
        world.pass(GRACE);
    }
    world.collect().await;
    assert_eq!(world.blobs.len(), 1);
    assert!(world.read(&kept).await.is_some());
}

#[tokio::test]
async fn many_pages() {
    let world = World::new();
    for number in 0..1_203 {
        let id = world.old_blob(&number.to_string()).await;
        if number % 3 == 0 {
            world.artifact(&number.to_string(), &id).await;
        }
    }
    let done = world.collect().await;
    assert_eq!((done.blobs, done.retired), (1_203, 802));
    world.pass(GRACE);
    assert_eq!(world.collect().await.discarded, 802);
}

#[tokio::test]
async fn what_fails_is_left_to_the_next_collection() {
    let world = World::new();
    world.old_blob("stubborn").await;
    let meddler = Meddler::refusing(&world);
    let done = world.collect_with(&meddler).await;
    assert_eq!((done.retired, done.failures), (0, 1));
    assert_eq!(world.collect().await.retired, 1);
}

#[tokio::test]
async fn in_a_folder() {
    let dir = tempfile::tempdir().expect("folder");
    let blobs = LocalBlobs::new(dir.path());
    let world = World::new();
    let id = blobs
        .put(&world.key, Bytes::from("on disk"))
        .await
        .expect("put")
        .id;
    let kept = blobs.put(&world.key, Bytes::from("named")).await.expect("put").id;
    world.artifact("a", &kept).await;
    world.pass(GRACE + Duration::from_secs(60));
    let collect = async || world.collect_in(&blobs, Mode::Sweep).await;
    assert_eq!(collect().await.retired, 1);
    world.pass(GRACE);
    assert_eq!(collect().await.discarded, 1);
    assert_eq!(blobs.get(&world.key, &id).await.expect("read"), None);
    assert!(blobs.get(&world.key, &kept).await.expect("read").is_some());
}

#[tokio::test]
async fn nodes_take_turns() {
    let world = World::new();
    let node = || Collector {
        store: world.store.clone(),
        blobs: world.blobs.clone(),
        clock: world.clock.clone(),
        ids: Arc::new(SystemIds),
        grace: GRACE,
        interval: Duration::from_secs(3_600),
    };
    let turn = async |node: &Collector| node.collect_if_due().await.expect("collected").is_some();
    let (one, two) = (node(), node());
    let metrics = Metrics::install().expect("recorder");
    world.old_blob("three").await;
    assert!(turn(&one).await);
    let text = metrics.render();
    for line in [
        r#"gateway_blobs_collected_total{step="retired"} 1"#,
        r#"gateway_blob_bytes_collected_total{step="retired"} 5"#,
        r#"gateway_blobs_collected_total{step="removed"} 0"#,
        "gateway_blobs_retired 1",
        "gateway_blob_collection_failures_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(
        !text.contains("gateway_blob_collection_last_success_seconds 0\n"),
        "{text}"
    );
    assert!(!turn(&two).await && !turn(&one).await);
    world.pass(Duration::from_secs(3_700));
    assert!(turn(&two).await);
    let id = BlobId::of(b"nothing");
    assert_eq!(world.read(&id).await, None);
}
