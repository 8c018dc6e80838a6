//! Memory.

use std::sync::Arc;

use super::bench::{Bench, SECOND};
use crate::{
    Assertion, AssertionFilter, AssertionOrder, CommitOutcome, Embedding, MemoryRow, Placement, Rest,
    SpanChange, SpanEntry,
};

const DONE: CommitOutcome = CommitOutcome::Committed { mail_in: 0 };

fn span(b: &Bench, owner: &str, id: &str, change: SpanChange, body: &str) -> MemoryRow {
    MemoryRow::Span(SpanEntry {
        owner_id: owner.to_owned(),
        span_id: id.to_owned(),
        change,
        body: body.into(),
        created_at: b.now(),
    })
}

pub(super) fn statement(owner: &str, terms: [&str; 3], observed_at: &str) -> Assertion {
    Assertion {
        assertion_id: format!("{owner}{}", terms.concat()),
        owner_id: owner.to_owned(),
        scope: if owner == "global_memory" { "global" } else { "run" }.to_owned(),
        subject: terms[0].to_owned(),
        predicate: terms[1].to_owned(),
        object: terms[2].to_owned(),
        observed_at: observed_at.to_owned(),
        valid_from: None,
        valid_until: None,
        body: r#"{"b":1,"a":{"nul":"\u0000"}}"#.into(),
        embedding: None,
    }
}

/// Commits rows in the name of a run that rests afterwards.
async fn add(b: &Bench, rows: Vec<MemoryRow>) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Wait { wake_at: None });
    commit.memory = rows;
    assert_eq!(b.commit(commit).await, DONE);
}

fn objects(rows: &[crate::StoredAssertion]) -> Vec<&str> {
    rows.iter().map(|row| row.assertion.object.as_str()).collect()
}

pub(super) async fn span_entries_keep_their_order(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.memory = vec![
        span(&b, "o", "s1", SpanChange::Added, r#"{"z":1,"a":2}"#),
        span(&b, "p", "s2", SpanChange::Added, "{}"),
        span(&b, "o", "s3", SpanChange::Added, "{}"),
    ];
    // The same call again after an unknown outcome adds nothing.
    for _ in 0..2 {
        assert_eq!(b.commit(commit.clone()).await, DONE);
    }
    b.clock.advance(SECOND);
    add(
        &b,
        vec![span(&b, "o", "s1", SpanChange::Tagged, r#"{"tags":{}}"#)],
    )
    .await;
    let log = b.store.spans(&b.root(), "o").await.expect("read");
    let told: Vec<_> = log
        .iter()
        .map(|stored| (&*stored.entry.span_id, stored.entry.change))
        .collect();
    assert_eq!(
        told,
        [
            ("s1", SpanChange::Added),
            ("s3", SpanChange::Added),
            ("s1", SpanChange::Tagged)
        ]
    );
    assert!(log.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(
        &*log[0].entry.body, r#"{"z":1,"a":2}"#,
        "the order of keys survives"
    );
    assert_eq!(log[2].entry.created_at, b.now());
    let ids = ["s1".to_owned(), "s2".to_owned(), "none".to_owned()];
    let found = b.store.spans_by_id(&b.root(), &ids).await.expect("read");
    let owners: Vec<_> = found.iter().map(|stored| &*stored.entry.owner_id).collect();
    assert_eq!(owners, ["o", "p", "o"]);
    assert!(
        b.store
            .spans_by_id(&b.root(), &[])
            .await
            .expect("read")
            .is_empty()
    );
}

pub(super) async fn a_refused_commit_adds_nothing(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.rev = 7;
    commit.memory = vec![
        span(&b, "o", "s", SpanChange::Added, "{}"),
        MemoryRow::Assertion(Box::new(statement("o", ["a", "p", "x"], "2026"))),
    ];
    assert_eq!(b.commit(commit).await, CommitOutcome::Lost);
    assert!(b.store.spans(&b.root(), "o").await.expect("read").is_empty());
    assert!(!b.store.has_assertions(&b.root()).await.expect("read"));
}

pub(super) async fn rows_of_a_first_tick(b: Bench) {
    let mut start = b.start_of(vec![b.new_run(Placement::Ready)]);
    let owner = start.runs[0].head.run_id.to_string();
    start.memory = vec![span(&b, &owner, "s", SpanChange::Added, "{}")];
    b.store.start(&b.root(), start).await.expect("start");
    assert_eq!(b.store.spans(&b.root(), &owner).await.expect("read").len(), 1);
}

pub(super) async fn statements_are_filtered_and_ordered(b: Bench) {
    let mut bounded = statement("o", ["c", "p", "z"], "2026-01-03");
    bounded.valid_from = Some("2026-02".to_owned());
    bounded.valid_until = Some("2026-03".to_owned());
    let rows = vec![
        statement("o", ["a", "p", "x"], "2026-01-02"),
        statement("o", ["a", "q", "y"], "2026-01-01"),
        bounded.clone(),
        statement("o", ["a", "p", "same moment"], "2026-01-02"),
        statement("global_memory", ["a", "p", "g"], "2025"),
    ];
    let first = rows[0].clone();
    add(
        &b,
        rows.into_iter()
            .map(|row| MemoryRow::Assertion(Box::new(row)))
            .collect(),
    )
    .await;
    let of = |filter: AssertionFilter| AssertionFilter {
        owner_id: Some("o".to_owned()),
        ..filter
    };
    let text = |text: &str| Some(text.to_owned());
    let any = AssertionFilter::default();
    let newest = AssertionOrder::NewestFirst;
    for (filter, order, limit, wanted) in [
        (of(any.clone()), newest, 0, vec!["z", "x", "same moment", "y"]),
        (
            of(any.clone()),
            AssertionOrder::OldestFirst,
            0,
            vec!["y", "x", "same moment", "z"],
        ),
        (of(any.clone()), newest, 2, vec!["z", "x"]),
        (any.clone(), newest, 0, vec!["z", "x", "same moment", "y", "g"]),
        (
            AssertionFilter {
                scope: text("global"),
                ..any.clone()
            },
            newest,
            0,
            vec!["g"],
        ),
        (
            of(AssertionFilter {
                subject: text("a"),
                predicate: text("p"),
                ..any.clone()
            }),
            newest,
            0,
            vec!["x", "same moment"],
        ),
        (
            of(AssertionFilter {
                object: text("y"),
                ..any.clone()
            }),
            newest,
            0,
            vec!["y"],
        ),
        (
            of(AssertionFilter {
                since: text("2026-01-02"),
                until: text("2026-01-02"),
                ..any.clone()
            }),
            newest,
            0,
            vec!["x", "same moment"],
        ),
        (
            of(AssertionFilter {
                active_at: text("2026-03"),
                ..any.clone()
            }),
            newest,
            0,
            vec!["x", "same moment", "y"],
        ),
        (
            of(AssertionFilter {
                active_at: text("2026-02"),
                subject: text("c"),
                ..any.clone()
            }),
            newest,
            0,
            vec!["z"],
        ),
    ] {
        let found = b
            .store
            .assertions(&b.root(), &filter, order, limit)
            .await
            .expect("read");
        assert_eq!(objects(&found), wanted, "{filter:?} {order:?} {limit}");
    }
    let found = b
        .store
        .assertions(&b.root(), &of(any), newest, 0)
        .await
        .expect("read");
    assert_eq!((&found[0].assertion, &found[1].assertion), (&bounded, &first));
}

pub(super) async fn vectors_are_paged_by_model(b: Bench) {
    let mut rows = Vec::new();
    for (n, model) in ["m", "m", "other", "m"].into_iter().enumerate() {
        let mut row = statement("o", ["a", "p", &n.to_string()], "2026");
        let vector: Arc<[f32]> = vec![n as f32, -0.5].into();
        row.embedding = Some(Embedding {
            model: model.into(),
            vector,
        });
        rows.push(MemoryRow::Assertion(Box::new(row)));
    }
    rows.push(MemoryRow::Assertion(Box::new(statement(
        "o",
        ["a", "p", "bare"],
        "2026",
    ))));
    add(&b, rows).await;
    let filter = AssertionFilter {
        owner_id: Some("o".to_owned()),
        ..AssertionFilter::default()
    };
    let page = |after| {
        let store = b.store.clone();
        let (root, filter) = (b.root(), filter.clone());
        async move {
            store
                .assertion_vectors(&root, &filter, "m", after, 2)
                .await
                .expect("read")
        }
    };
    let first = page(0).await;
    let vectors: Vec<_> = first.iter().map(|row| row.vector.clone()).collect();
    assert_eq!(vectors, [[0.0, -0.5], [1.0, -0.5]]);
    let second = page(first[1].seq).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].vector, [3.0, -0.5]);
    assert!(page(second[0].seq).await.is_empty());
    let places = [second[0].seq, first[0].seq];
    let found = b.store.assertions_at(&b.root(), &places).await.expect("read");
    assert_eq!(objects(&found), ["0", "3"]);
    assert!(
        b.store
            .assertions_at(&b.root(), &[])
            .await
            .expect("read")
            .is_empty()
    );
}

pub(super) async fn texts_of_any_kind(b: Bench) {
    let long = "ä".repeat(5_000);
    let mut row = statement("o", [&long, "p", "n\0l"], "2026");
    row.assertion_id = "id".to_owned();
    add(&b, vec![MemoryRow::Assertion(Box::new(row))]).await;
    let filter = AssertionFilter {
        subject: Some(long),
        ..AssertionFilter::default()
    };
    let found = b
        .store
        .assertions(&b.root(), &filter, AssertionOrder::NewestFirst, 0)
        .await
        .expect("read");
    assert_eq!(objects(&found), ["n\u{fffd}l"]);
    assert_eq!(&*found[0].assertion.body, r#"{"b":1,"a":{"nul":"\u0000"}}"#);
}

pub(super) async fn planes_are_separate_and_purged_runs_forgotten(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let owner = run.key.run.to_string();
    let mut commit = b.commit_of(session, &run, Rest::Terminal);
    commit.memory = vec![
        span(&b, &owner, "s", SpanChange::Added, "{}"),
        MemoryRow::Assertion(Box::new(statement(&owner, ["a", "p", "x"], "2026"))),
        span(&b, "session_memory_s", "t", SpanChange::Added, "{}"),
    ];
    assert_eq!(b.commit(commit).await, DONE);
    let other = b.other_plane().await;
    assert!(b.store.spans(&other, &owner).await.expect("read").is_empty());
    assert!(
        b.store
            .spans_by_id(&other, &["s".to_owned()])
            .await
            .expect("read")
            .is_empty()
    );
    assert!(!b.store.has_assertions(&other).await.expect("read"));
    assert!(b.store.has_assertions(&b.root()).await.expect("read"));
    b.store
        .purge_runs(&b.root(), &[run.key.run])
        .await
        .expect("purge");
    assert!(b.store.spans(&b.root(), &owner).await.expect("read").is_empty());
    assert!(!b.store.has_assertions(&b.root()).await.expect("read"));
    let kept = b.store.spans(&b.root(), "session_memory_s").await.expect("read");
    assert_eq!(kept.len(), 1);
}
