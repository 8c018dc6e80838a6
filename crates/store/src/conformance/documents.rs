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
