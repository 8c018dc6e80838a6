//! Bulk writes of an import: repeated at any point they add what is missing and touch nothing else.

use std::sync::Arc;

use ag_types::{RunId, RunStatus, TenantScope, Timestamp};

use super::{
    artifacts::artifact,
    bench::{Bench, POOL, SECOND, SYSTEM, segment},
    memory::statement,
};
use crate::{
    Assertion, AssertionFilter, AssertionOrder, CommandRow, CommitOutcome, Document, DocumentKind, Embedding,
    ImportBatch, ImportCounts, ImportWake, MailKind, NewRun, OwnerRow, Placement, PutMode, Rest, Segment,
    SpanChange, SpanEntry, Sweep,
};

const OWNER: &str = "session_memory_s";

async fn import(b: &Bench, batch: ImportBatch) -> ImportCounts {
    import_into(b, &b.root(), batch).await
}

async fn import_into(b: &Bench, scope: &TenantScope, batch: ImportBatch) -> ImportCounts {
    b.imports.import(scope, batch).await.expect("import")
}

async fn heads(b: &Bench, runs: &[RunId]) -> u64 {
    let heads: Vec<(RunId, Arc<str>)> = runs.iter().map(|run| (*run, POOL.into())).collect();
    b.imports.import_heads(&b.root(), &heads).await.expect("heads")
}

async fn wakes(b: &Bench, wakes: &[ImportWake]) -> u64 {
    b.imports.import_wakes(&b.root(), wakes).await.expect("wakes")
}

async fn lines(b: &Bench, run: RunId) -> Option<Vec<(i64, String)>> {
    let page = b.store.ledger(&b.root(), run, 0, 1_000).await.expect("read")?;
    Some(page.records().map(|(seq, line)| (seq, line.to_owned())).collect())
}

/// A run of the source: it stands where it stood there, without a place here.
fn run(b: &Bench, status: RunStatus) -> NewRun {
    NewRun {
        columns: b.columns(status),
        segments: vec![segment(1, 2), segment(3, 3)],
        last_seq: 3,
        ..b.new_run(Placement::Terminal)
    }
}

fn span(b: &Bench, owner: &str, id: &str) -> SpanEntry {
    SpanEntry {
        owner_id: owner.to_owned(),
        span_id: id.to_owned(),
        change: SpanChange::Added,
        body: r#"{"z":1,"a":2}"#.into(),
        created_at: b.now(),
    }
}

fn owner(b: &Bench) -> OwnerRow {
    OwnerRow {
        owner_id: OWNER.to_owned(),
        session_id: Some("s".to_owned()),
        created_at: b.now(),
        updated_at: b.now(),
    }
}

fn command(id: &str, seq: i64) -> CommandRow {
    CommandRow {
        seq,
        command_id: id.to_owned(),
        run_id: "any".to_owned(),
        kind: "resume".to_owned(),
        payload: r#"{"b":1,"a":2}"#.to_owned(),
        client_id: None,
        ts: "2026-01-01T00:00:00Z".to_owned(),
        outcome: Some("gone".to_owned()),
        pending: false,
    }
}

fn document(id: &str, body: &str) -> (DocumentKind, Document) {
    let document = Document {
        id: id.to_owned(),
        body: body.to_owned(),
        updated_at: Timestamp::from_micros(0),
    };
    (DocumentKind::VisualFlow, document)
}

/// One of each kind.
fn all(b: &Bench, run: &NewRun) -> ImportBatch {
    ImportBatch {
        ledgers: Vec::new(),
        runs: vec![run.clone()],
        commands: vec![(command("c", 5), b.now())],
        artifacts: vec![artifact(b, "a", None, "x")],
        owners: vec![owner(b)],
        spans: vec![span(b, OWNER, "s1"), span(b, &run.head.run_id.to_string(), "s2")],
        statements: vec![statement(OWNER, ["a", "p", "x"], "2026")],
        documents: vec![document("d", "{}")],
    }
}

fn one_of_each() -> ImportCounts {
    ImportCounts {
        runs: 1,
        commands: 1,
        artifacts: 1,
        owners: 1,
        spans: 2,
        statements: 1,
        documents: 1,
    }
}

pub(super) async fn rows_arrive_once(b: Bench) {
    let (root, new) = (b.root(), run(&b, RunStatus::Completed));
    let generation = b.store.generation(&root).await.expect("generation");
    assert!(!all(&b, &new).is_empty() && ImportBatch::default().is_empty());
    assert_eq!(import(&b, all(&b, &new)).await, one_of_each());
    assert_eq!(import(&b, all(&b, &new)).await, ImportCounts::default());

    let stored = b
        .store
        .run(&root, new.head.run_id)
        .await
        .expect("read")
        .expect("run");
    assert_eq!((&stored.head, stored.rev, stored.last_seq), (&new.head, 0, 3));
    assert_eq!(stored.columns.vars, new.columns.vars);
    assert_eq!(stored.columns.counters, new.columns.counters);
    assert_eq!(stored.bundle_sha256, new.bundle_sha256);
    let read = lines(&b, new.head.run_id).await.expect("ledger");
    assert_eq!(read.len(), 3);
    assert_eq!(read[2], (3, r#"{"n":3}"#.to_owned()));
    let kept = b.store.command(&root, "c").await.expect("read").expect("command");
    assert_eq!(
        (kept.seq, kept.outcome.as_deref(), kept.pending),
        (5, Some("gone"), false)
    );
    assert!(b.store.artifact(&root, "a").await.expect("read").is_some());
    assert_eq!(b.store.owner(&root, OWNER).await.expect("read"), Some(owner(&b)));
    for (owner, id) in [(OWNER.to_owned(), "s1"), (new.head.run_id.to_string(), "s2")] {
        let log = b.store.spans(&root, &owner).await.expect("read");
        let ids: Vec<_> = log.iter().map(|stored| stored.entry.span_id.as_str()).collect();
        assert_eq!(ids, [id], "{owner}");
    }
    assert!(b.store.has_assertions(&root).await.expect("read"));
    let (now, documents) = b
        .store
        .documents(&root, DocumentKind::VisualFlow)
        .await
        .expect("read");
    assert_eq!(
        (documents.len(), now),
        (1, generation + 1),
        "a repetition changes no generation"
    );
}

pub(super) async fn what_is_there_stays(b: Bench) {
    let root = b.root();
    let ours = b.started_in(&root, run(&b, RunStatus::Completed)).await;
    let mut theirs = run(&b, RunStatus::Failed);
    theirs.head.run_id = ours.run;
    theirs.segments = vec![segment(1, 5)];
    theirs.last_seq = 5;
    let (kind, document) = document("d", "ours");
    b.store
        .put_document(&root, kind, document, PutMode::Create)
        .await
        .expect("put");
    b.store
        .put_artifact(&root, artifact(&b, "a", None, "ours"))
        .await
        .expect("put");
    b.store
        .post_command(&root, b.command_to("c", &[]))
        .await
        .expect("post");
    b.store.ensure_owner(&root, owner(&b)).await.expect("owner");
    b.clock.advance(SECOND);
    let counts = import(&b, all(&b, &theirs)).await;
    // The owner is known, its spans and statements were not; the run's spans come with the run or not at all.
    assert_eq!((counts.runs, counts.commands, counts.artifacts), (0, 0, 0));
    assert_eq!((counts.owners, counts.documents, counts.statements), (0, 0, 1));
    let stored = b.store.run(&root, ours.run).await.expect("read").expect("run");
    assert_eq!(
        (stored.columns.status, stored.last_seq),
        (RunStatus::Completed, 3)
    );
    assert_eq!(lines(&b, ours.run).await.map(|lines| lines.len()), Some(3));
    let read = b
        .store
        .document(&root, kind, "d")
        .await
        .expect("read")
        .expect("document");
    assert_eq!(read.body, "ours");
    let row = b
        .store
        .artifact(&root, "a")
        .await
        .expect("read")
        .expect("artifact");
    assert_eq!(row.blob_id, "ours");
    assert_eq!(
        b.store.command(&root, "c").await.expect("read").expect("row").seq,
        1
    );
}

/// The long ledger of a run goes before the run; what a killed import left of it is replaced.
pub(super) async fn a_ledger_begins_again(b: Bench) {
    let mut new = run(&b, RunStatus::Completed);
    let id = new.head.run_id;
    let pieces = |segments: Vec<Segment>| ImportBatch {
        ledgers: vec![(id, segments)],
        ..ImportBatch::default()
    };
    let other = Segment {
        first_seq: 1,
        last_seq: 2,
        lines: "{}\n{}".into(),
    };
    import(&b, pieces(vec![other, segment(3, 4)])).await;
    assert_eq!(
        lines(&b, id).await,
        None,
        "a ledger without its run shows nothing"
    );
    import(&b, pieces(vec![segment(1, 3)])).await;
    import(&b, pieces(vec![segment(4, 6)])).await;
    new.segments = vec![segment(7, 8)];
    new.last_seq = 8;
    let last = ImportBatch {
        runs: vec![new.clone()],
        ..ImportBatch::default()
    };
    assert_eq!(import(&b, last).await.runs, 1);
    let expected: Vec<_> = (1..=8).map(|n| (n, format!("{{\"n\":{n}}}"))).collect();
    assert_eq!(lines(&b, id).await, Some(expected.clone()));
    // Of a stored run nothing begins again.
    import(&b, pieces(vec![segment(1, 3)])).await;
    assert_eq!(lines(&b, id).await, Some(expected));
}

pub(super) async fn nothing_moves_without_a_head(b: Bench) {
    let runs = [RunStatus::Running, RunStatus::Waiting, RunStatus::Completed].map(|status| run(&b, status));
    let ids = runs.each_ref().map(|run| run.head.run_id);
    let batch = ImportBatch {
        runs: runs.to_vec(),
        ..ImportBatch::default()
    };
    assert_eq!(import(&b, batch).await.runs, 3);
    assert_eq!(b.candidates(9).await, []);
    assert_eq!(b.sweep(Sweep::Timers).await, []);
    assert_eq!(heads(&b, &ids).await, 2, "the ended one needs none");
    assert_eq!(heads(&b, &ids).await, 0);
    assert_eq!(heads(&b, &[b.run_id()]).await, 0);
    assert_eq!(b.candidates(9).await, [], "a head alone moves nothing");
    b.post("c", ids[1], MailKind::Resume).await;
    let reached: Vec<_> = b.candidates(9).await.iter().map(|key| key.run).collect();
    assert_eq!(reached, [ids[1]], "commands reach a run that rests");
}

pub(super) async fn wakes_reach_only_runs_at_rest(b: Bench) {
    let runs = [RunStatus::Running, RunStatus::Waiting, RunStatus::Waiting].map(|status| run(&b, status));
    let ids = runs.each_ref().map(|run| run.head.run_id);
    let key = |run: RunId| ag_types::RunKey {
        run,
        plane: b.root().plane,
    };
    let batch = ImportBatch {
        runs: runs.to_vec(),
        ..ImportBatch::default()
    };
    import(&b, batch).await;
    let bare = |run: RunId| ImportWake {
        run,
        ready: false,
        wake_at: None,
        mail: Vec::new(),
    };
    let all = [
        ImportWake {
            ready: true,
            ..bare(ids[0])
        },
        ImportWake {
            wake_at: Some(b.now().plus_micros(SECOND)),
            ..bare(ids[1])
        },
        ImportWake {
            mail: vec![(MailKind::ChildDone, r#"{"k":"v"}"#.into())],
            ..bare(ids[2])
        },
    ];
    assert_eq!(wakes(&b, &all).await, 0, "no heads yet");
    heads(&b, &ids).await;
    assert_eq!(wakes(&b, &all).await, 3);
    assert_eq!(wakes(&b, &all).await, 0);
    assert_eq!(b.mail_numbers(key(ids[2]), 0).await, [1], "delivered once");
    assert!(b.is_ready(key(ids[0])).await && b.is_ready(key(ids[2])).await);
    assert!(!b.is_ready(key(ids[1])).await);
    b.clock.advance(2 * SECOND);
    assert_eq!(b.sweep(Sweep::Timers).await, [key(ids[1])]);

    // A run that has gone on is no longer the import's business.
    let session = b.session().await;
    let held = b.claimed(session, key(ids[0])).await;
    assert_eq!((held.rev, held.last_seq), (0, 3));
    let commit = b.commit_of(session, &held, Rest::Wait { wake_at: None });
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
    assert_eq!(wakes(&b, &all[..1]).await, 0);
    assert!(!b.is_ready(key(ids[0])).await);
    let row = b.store.run(&b.root(), ids[0]).await.expect("read").expect("run");
    assert_eq!(row.rev, 1);
}

pub(super) async fn numbers_of_commands_only_rise(b: Bench) {
    let (root, other) = (b.root(), b.other_plane().await);
    for (raise, expected) in [(7, 8), (3, 9), (9, 10), (11, 12)] {
        b.imports.raise_command_seq(&root, raise).await.expect("raise");
        let command = b.command_to(&format!("c{raise}"), &[]);
        let posted = b.store.post_command(&root, command).await.expect("post");
        let crate::PostOutcome::Accepted { seq, .. } = posted else {
            panic!("{posted:?}");
        };
        assert_eq!(seq, expected, "raised to {raise}");
    }
    let posted = b.store.post_command(&other, b.command_to("c", &[])).await;
    assert!(matches!(posted, Ok(crate::PostOutcome::Accepted { seq: 1, .. })));
}

pub(super) async fn spans_of_known_owners_are_completed(b: Bench) {
    b.store.ensure_owner(&b.root(), owner(&b)).await.expect("owner");
    let batch = |ids: &[&str]| ImportBatch {
        owners: vec![owner(&b)],
        spans: ids.iter().map(|id| span(&b, OWNER, id)).collect(),
        ..ImportBatch::default()
    };
    for (ids, new) in [(&["x", "y"][..], 2), (&["x", "y", "z"], 1), (&["z"], 0)] {
        let counts = import(&b, batch(ids)).await;
        assert_eq!((counts.owners, counts.spans), (0, new), "{ids:?}");
    }
    let ids = |log: Vec<crate::StoredSpanEntry>| -> Vec<String> {
        log.into_iter().map(|stored| stored.entry.span_id).collect()
    };
    let log = b.store.spans(&b.root(), OWNER).await.expect("read");
    assert_eq!(ids(log), ["x", "y", "z"]);
    // A new owner's log comes as it is, repetitions included: readers fold it.
    let fresh = ImportBatch {
        owners: vec![OwnerRow {
            owner_id: "global_memory".to_owned(),
            ..owner(&b)
        }],
        spans: vec![span(&b, "global_memory", "x"), span(&b, "global_memory", "x")],
        ..ImportBatch::default()
    };
    assert_eq!(import(&b, fresh).await.spans, 2);
}

pub(super) async fn statements_are_told_apart_by_id(b: Bench) {
    let named = |id: &str, subject: &str| Assertion {
        assertion_id: id.to_owned(),
        ..statement(OWNER, [subject, "p", "x"], "2026")
    };
    let vector = Embedding {
        model: "m".into(),
        vector: vec![0.5, -1.0].into(),
    };
    let rows = vec![
        named("1", "a"),
        named("2", "a"),
        named("3", "nul\0é"),
        Assertion {
            embedding: Some(vector),
            valid_from: Some("2025".to_owned()),
            ..named("4", &"long".repeat(100))
        },
    ];
    let batch = |rows: &[Assertion]| ImportBatch {
        statements: rows.to_vec(),
        ..ImportBatch::default()
    };
    assert_eq!(import(&b, batch(&rows[..2])).await.statements, 2);
    assert_eq!(import(&b, batch(&rows)).await.statements, 2);
    assert_eq!(import(&b, batch(&rows)).await.statements, 0);
    let any = AssertionFilter::default();
    let read = b
        .store
        .assertions(&b.root(), &any, AssertionOrder::OldestFirst, 0)
        .await
        .expect("read");
    let ids: Vec<_> = read
        .iter()
        .map(|row| row.assertion.assertion_id.as_str())
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4"]);
    assert_eq!(read[2].assertion.subject, "nul\u{fffd}é");
    assert_eq!(read[3].assertion.valid_from.as_deref(), Some("2025"));
    let vectors = b
        .store
        .assertion_vectors(&b.root(), &any, "m", 0, 9)
        .await
        .expect("read");
    assert_eq!(
        vectors.iter().map(|row| row.vector.clone()).collect::<Vec<_>>(),
        [[0.5, -1.0]]
    );
}

pub(super) async fn planes_import_apart(b: Bench) {
    let (root, other) = (b.root(), b.other_plane().await);
    let new = run(&b, RunStatus::Running);
    let id = new.head.run_id;
    assert_eq!(import_into(&b, &other, all(&b, &new)).await, one_of_each());
    let stored = |scope: TenantScope| {
        let imports = b.imports.clone();
        async move { imports.stored_runs(&scope, &[id]).await.expect("read") }
    };
    assert!(stored(other.clone()).await.contains(&id));
    assert!(stored(root.clone()).await.is_empty());
    assert_eq!(heads(&b, &[id]).await, 0, "of another plane");
    assert!(b.store.run(&root, id).await.expect("read").is_none());
    assert_eq!(b.imports.in_use(&SYSTEM).await.expect("asked"), None);
    assert_eq!(import_into(&b, &root, all(&b, &new)).await, one_of_each());
}
