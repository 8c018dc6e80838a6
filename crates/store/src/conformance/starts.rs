//! Starts.

use ag_types::{RunKey, RunStatus};

use super::bench::{Bench, SECOND, SYSTEM, mail_to, segment};
use crate::{
    Document, DocumentKind, MailKind, OwnerRow, Placement, PutMode, PutOutcome, StartKey, StartOutcome,
};

pub(super) async fn created_runs_are_read_back(b: Bench) {
    let mut run = b.new_run(Placement::Terminal);
    run.columns.error = Some("é".to_owned());
    run.columns.output = Some(r#"{"y":1,"x":null}"#.into());
    run.columns.lifecycle = Some(r#"{"purpose":"draft_test"}"#.into());
    run.segments = vec![segment(1, 3), segment(4, 4)];
    run.last_seq = 4;
    let expected = run.clone();
    let key = b.started_in(&b.root(), run).await;
    let row = b
        .store
        .run(&b.root(), key.run)
        .await
        .expect("read")
        .expect("present");
    assert_eq!((row.head, row.columns), (expected.head, expected.columns));
    assert_eq!(
        (row.rev, row.last_seq, row.bundle_sha256),
        (0, 4, expected.bundle_sha256)
    );
}

pub(super) async fn placements_decide_who_may_claim(b: Bench) {
    let (mine, other) = (b.session().await, b.session().await);
    let ready = b.started(Placement::Ready).await;
    let held = b
        .started(Placement::Held {
            session: mine,
            epoch: 1,
        })
        .await;
    let rest = b.started(Placement::Rest { wake_at: None }).await;
    let timed = b
        .started(Placement::Rest {
            wake_at: Some(b.now().plus_micros(SECOND)),
        })
        .await;
    let ended = b.started(Placement::Terminal).await;
    assert_eq!(b.candidates(9).await, [ready]);
    let claim = b
        .claim(other, &[ready, held, rest, timed, ended])
        .await
        .expect("claim");
    assert_eq!(claim.runs.iter().map(|run| run.key).collect::<Vec<_>>(), [ready]);
    assert_eq!(claim.now, b.now());
    let woken = b.store.close_session(&SYSTEM, mine, true).await.expect("close");
    assert_eq!(woken.iter().map(|woken| woken.key).collect::<Vec<_>>(), [held]);
}

pub(super) async fn a_key_repeats_the_answer(b: Bench) {
    let key = |body: u8| StartKey {
        key: "k".to_owned(),
        body_sha256: [body; 32],
        expires_before: b.now().plus_micros(-3_600 * SECOND),
    };
    let mut first = b.start_of(vec![b.new_run(Placement::Ready)]);
    first.key = Some(key(1));
    let run = first.runs[0].head.run_id;
    assert_eq!(
        b.store.start(&b.root(), first).await.expect("start"),
        StartOutcome::Created
    );
    for (body, expected) in [(1, StartOutcome::Existing(run)), (2, StartOutcome::KeyConflict)] {
        let mut again = b.start_of(vec![b.new_run(Placement::Ready)]);
        again.key = Some(key(body));
        let unused = again.runs[0].head.run_id;
        assert_eq!(b.store.start(&b.root(), again).await.expect("start"), expected);
        assert!(b.store.run(&b.root(), unused).await.expect("read").is_none());
    }
    let mut elsewhere = b.start_of(vec![b.new_run(Placement::Ready)]);
    elsewhere.key = Some(key(2));
    assert_eq!(
        b.store
            .start(&b.other_plane().await, elsewhere)
            .await
            .expect("start"),
        StartOutcome::Created
    );
}

pub(super) async fn an_expired_key_is_forgotten(b: Bench) {
    for body in [1, 2] {
        let mut start = b.start_of(vec![b.new_run(Placement::Ready)]);
        let expires_before = b.now().plus_micros(-SECOND);
        start.key = Some(StartKey {
            key: "k".to_owned(),
            body_sha256: [body; 32],
            expires_before,
        });
        assert_eq!(
            b.store.start(&b.root(), start).await.expect("start"),
            StartOutcome::Created
        );
        b.clock.advance(2 * SECOND);
    }
}

pub(super) async fn a_changed_registry_is_noticed(b: Bench) {
    let document = Document {
        id: "b@1".to_owned(),
        body: "{}".to_owned(),
        updated_at: b.now(),
    };
    let before = b.store.generation(&b.root()).await.expect("generation");
    for (generation, expected) in [
        (before, StartOutcome::Created),
        (before + 1, StartOutcome::StaleGeneration),
    ] {
        let mut start = b.start_of(vec![b.new_run(Placement::Ready)]);
        start.generation = Some(generation);
        assert_eq!(b.store.start(&b.root(), start).await.expect("start"), expected);
    }
    let put = b
        .store
        .put_document(&b.root(), DocumentKind::Bundle, document, PutMode::Create)
        .await
        .expect("put");
    assert_eq!(
        put,
        PutOutcome::Written {
            generation: before + 1
        }
    );
    for (generation, expected) in [
        (before + 1, StartOutcome::Created),
        (before, StartOutcome::StaleGeneration),
    ] {
        let mut start = b.start_of(vec![b.new_run(Placement::Ready)]);
        start.generation = Some(generation);
        assert_eq!(b.store.start(&b.root(), start).await.expect("start"), expected);
    }
}

pub(super) async fn a_repeated_start_changes_nothing(b: Bench) {
    let session = b.session().await;
    let start = b.start_of(vec![b.new_run(Placement::Ready)]);
    let key = RunKey {
        run: start.runs[0].head.run_id,
        plane: b.root().plane,
    };
    assert_eq!(
        b.store.start(&b.root(), start.clone()).await.expect("start"),
        StartOutcome::Created
    );
    let run = b.claimed(session, key).await;
    b.rest(session, &run, crate::Rest::Terminal).await;
    // The first answer may have been lost with the connection; the run has ended meanwhile and stays ended.
    assert_eq!(
        b.store.start(&b.root(), start).await.expect("start"),
        StartOutcome::Created
    );
    let row = b
        .store
        .run(&b.root(), key.run)
        .await
        .expect("read")
        .expect("present");
    assert_eq!((row.rev, row.columns.status), (1, RunStatus::Completed));
    assert!(!b.is_ready(key).await);
}

pub(super) async fn mail_of_the_first_tick(b: Bench) {
    let listener = b.started(Placement::Rest { wake_at: None }).await;
    let ended = b.started(Placement::Terminal).await;
    let mut start = b.start_of(vec![b.new_run(Placement::Terminal)]);
    start.mail = vec![
        mail_to(listener.run, MailKind::Event),
        mail_to(ended.run, MailKind::Event),
    ];
    assert_eq!(
        b.store.start(&b.root(), start).await.expect("start"),
        StartOutcome::Created
    );
    assert_eq!(b.mail_numbers(listener, 0).await, [1]);
    assert!(b.is_ready(listener).await);
    let mut stale = b.start_of(vec![b.new_run(Placement::Terminal)]);
    stale.mail = vec![mail_to(ended.run, MailKind::Cancel)];
    let unused = stale.runs[0].head.run_id;
    assert_eq!(
        b.store.start(&b.root(), stale).await.expect("start"),
        StartOutcome::Stale
    );
    assert!(b.store.run(&b.root(), unused).await.expect("read").is_none());
}

pub(super) async fn rows_beside_the_runs(b: Bench) {
    let owner = OwnerRow {
        owner_id: "session_memory_s".to_owned(),
        session_id: Some("s".to_owned()),
        created_at: b.now(),
        updated_at: b.now(),
    };
    let mut start = b.start_of(vec![b.new_run(Placement::Terminal)]);
    start.owners = vec![owner.clone()];
    start.artifacts = vec![super::artifacts::artifact(&b, "a1", Some("owner-1"), "blob-1")];
    let artifact = start.artifacts[0].clone();
    b.store.start(&b.root(), start).await.expect("start");
    assert_eq!(
        b.store.owner(&b.root(), &owner.owner_id).await.expect("read"),
        Some(owner)
    );
    assert_eq!(
        b.store.artifact(&b.root(), "a1").await.expect("read"),
        Some(artifact)
    );
}
