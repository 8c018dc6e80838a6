//! Documents.

use super::bench::Bench;
use crate::{Document, DocumentKind, PutMode, PutOutcome};

fn document(b: &Bench, id: &str, body: &str) -> Document {
    Document {
        id: id.to_owned(),
        body: body.to_owned(),
        updated_at: b.now(),
    }
}

pub(super) async fn modes_and_generations(b: Bench) {
    let scope = b.root();
    let before = b.store.generation(&scope).await.expect("generation");
    let written = |n| PutOutcome::Written {
        generation: before + n,
    };
    for (mode, body, expected) in [
        (PutMode::Replace, "0", PutOutcome::Missing),
        (PutMode::Create, "1", written(1)),
        (PutMode::Create, "2", PutOutcome::Exists),
        (PutMode::Replace, "3", written(2)),
        (PutMode::Upsert, "4", written(3)),
    ] {
        let document = document(&b, "d", body);
        let put = b
            .store
            .put_document(&scope, DocumentKind::VisualFlow, document, mode)
            .await
            .expect("put");
        assert_eq!(put, expected, "{mode:?} {body}");
    }
    let read = b
        .store
        .document(&scope, DocumentKind::VisualFlow, "d")
        .await
        .expect("read")
        .expect("present");
    assert_eq!(
        (read.id.as_str(), read.body.as_str(), read.updated_at),
        ("d", "4", b.now())
    );
    for (expected, generation) in [(true, 4), (false, 4)] {
        assert_eq!(
            b.store
                .delete_document(&scope, DocumentKind::VisualFlow, "d")
                .await
                .expect("delete"),
            expected
        );
        assert_eq!(
            b.store.generation(&scope).await.expect("generation"),
            before + generation
        );
    }
}

pub(super) async fn what_changed_meanwhile_is_not_replaced(b: Bench) {
    let (scope, kind) = (b.root(), DocumentKind::EndpointProfile);
    let replaced = async |read: &str, body: &str| {
        let replaced = b
            .store
            .replace_unchanged(&scope, kind, read, document(&b, "d", body));
        replaced.await.expect("replace")
    };
    let stored = async || {
        let found = b.store.document(&scope, kind, "d").await.expect("read");
        let generation = b.store.generation(&scope).await.expect("generation");
        (found.map(|found| (found.body, found.updated_at)), generation)
    };
    let nothing = stored().await;
    assert!(!replaced("", "0").await);
    assert_eq!(stored().await, nothing, "an absent document is not made");
    let put = |id, body| {
        let document = document(&b, id, body);
        b.store.put_document(&scope, kind, document, PutMode::Upsert)
    };
    put("d", "1").await.expect("put");
    put("other", "1").await.expect("put");
    let before = stored().await;
    b.clock.advance(1_000);
    assert!(!replaced("0", "2").await);
    assert_eq!(stored().await, before);
    assert!(replaced("1", "2").await);
    let expected = (Some(("2".to_owned(), b.now())), before.1 + 1);
    assert_eq!(stored().await, expected);
    assert!(!replaced("1", "3").await, "read before the last change");
    assert_eq!(stored().await, expected);
    let other = b.store.document(&scope, kind, "other").await.expect("read");
    assert_eq!(other.map(|other| other.body).as_deref(), Some("1"));
}

pub(super) async fn kinds_and_planes_are_separate(b: Bench) {
    let (scope, other) = (b.root(), b.other_plane().await);
    for id in ["b", "a", "B"] {
        let document = document(&b, id, "{}");
        b.store
            .put_document(&scope, DocumentKind::Bundle, document, PutMode::Upsert)
            .await
            .expect("put");
    }
    let (generation, list) = b
        .store
        .documents(&scope, DocumentKind::Bundle)
        .await
        .expect("list");
    assert_eq!(generation, b.store.generation(&scope).await.expect("generation"));
    assert_eq!(
        list.iter()
            .map(|document| document.id.as_str())
            .collect::<Vec<_>>(),
        ["B", "a", "b"]
    );
    assert!(
        b.store
            .documents(&scope, DocumentKind::DynamicFlow)
            .await
            .expect("list")
            .1
            .is_empty()
    );
    assert!(
        b.store
            .document(&scope, DocumentKind::DynamicFlow, "a")
            .await
            .expect("read")
            .is_none()
    );
    let (generation, list) = b
        .store
        .documents(&other, DocumentKind::Bundle)
        .await
        .expect("list");
    assert_eq!((generation, list.len()), (0, 0));
}
