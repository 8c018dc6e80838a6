//! Commands.

use super::bench::Bench;
use crate::{CommitOutcome, MailKind, Placement, PostOutcome, Rest};

fn accepted(outcome: &PostOutcome) -> i64 {
    match outcome {
        PostOutcome::Accepted { seq, .. } => *seq,
        other => panic!("expected an accepted command, got {other:?}"),
    }
}

pub(super) async fn accepted_once(b: Bench) {
    let run = b.started(Placement::Rest { wake_at: None }).await;
    assert_eq!(accepted(&b.post("c1", run.run, MailKind::Resume).await), 1);
    let other = b.started(Placement::Rest { wake_at: None }).await;
    assert_eq!(
        b.post("c1", other.run, MailKind::Cancel).await,
        PostOutcome::Duplicate { seq: 1 }
    );
    assert_eq!(b.mail_numbers(run, 0).await, [1]);
    assert_eq!(b.mail_numbers(other, 0).await, [0; 0]);
    let row = b
        .store
        .command(&b.root(), "c1")
        .await
        .expect("read")
        .expect("present");
    assert_eq!(
        (row.seq, row.kind.as_str(), row.run_id),
        (1, "pause", run.run.to_string())
    );
    assert_eq!(
        (row.payload.as_str(), row.client_id.as_deref()),
        (r#"{"b":1,"a":2}"#, Some("client"))
    );
    assert_eq!(
        (row.ts.as_str(), row.outcome, row.pending),
        ("2026-11-20T11:32:02Z", None, true)
    );
    assert!(b.store.command(&b.root(), "c2").await.expect("read").is_none());
    assert!(
        b.store
            .command(&b.other_plane().await, "c1")
            .await
            .expect("read")
            .is_none()
    );
}

pub(super) async fn numbers_are_dense_per_plane(b: Bench) {
    let run = b.started(Placement::Rest { wake_at: None }).await;
    for (id, seq) in [("c1", 1), ("c2", 2), ("c3", 3)] {
        assert_eq!(accepted(&b.post(id, run.run, MailKind::Resume).await), seq);
        b.post(id, run.run, MailKind::Resume).await;
    }
    let other = b.other_plane().await;
    let command = b.command_to("c1", &[]);
    assert_eq!(
        accepted(&b.store.post_command(&other, command).await.expect("post")),
        1
    );
    assert_eq!(accepted(&b.post("c4", run.run, MailKind::Resume).await), 4);
}

pub(super) async fn outcomes_and_pending(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut known = b.command_to("refused", &[(run.key.run, MailKind::Resume)]);
    known.outcome = Some("run has ended".to_owned());
    assert_eq!(
        accepted(&b.store.post_command(&b.root(), known).await.expect("post")),
        1
    );
    assert_eq!(
        b.mail_numbers(run.key, 0).await,
        [0; 0],
        "a command with an outcome sends no mail"
    );
    b.post("c1", run.key.run, MailKind::Resume).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.seen = 1;
    commit.outcomes = vec![("c1".into(), "Run is not waiting".to_owned())];
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 1 });
    for (id, outcome) in [("refused", "run has ended"), ("c1", "Run is not waiting")] {
        let row = b
            .store
            .command(&b.root(), id)
            .await
            .expect("read")
            .expect("present");
        assert_eq!((row.outcome.as_deref(), row.pending), (Some(outcome), false));
    }
}

pub(super) async fn stale_tree_targets(b: Bench) {
    let live = b.started(Placement::Rest { wake_at: None }).await;
    let ended = b.started(Placement::Terminal).await;
    let both = [(live.run, MailKind::Pause), (ended.run, MailKind::Pause)];
    let posted = b
        .store
        .post_command(&b.root(), b.command_to("c1", &both))
        .await
        .expect("post");
    assert_eq!(posted, PostOutcome::Stale);
    assert!(b.store.command(&b.root(), "c1").await.expect("read").is_none());
    assert_eq!(b.mail_numbers(live, 0).await, [0; 0]);
    assert_eq!(accepted(&b.post("c1", live.run, MailKind::Pause).await), 1);
}

pub(super) async fn a_cancel_names_the_holder(b: Bench) {
    let session = b.session().await;
    let (held, free) = (
        b.held(session).await,
        b.started(Placement::Rest { wake_at: None }).await,
    );
    let targets = [(held.key.run, MailKind::Cancel), (free.run, MailKind::Cancel)];
    let posted = b
        .store
        .post_command(&b.root(), b.command_to("c1", &targets))
        .await
        .expect("post");
    let PostOutcome::Accepted { woken, preempt, .. } = posted else {
        panic!("{posted:?}")
    };
    assert_eq!(woken.iter().map(|woken| woken.key).collect::<Vec<_>>(), [free]);
    assert_eq!(preempt, [(session, held.key.run)]);
}

pub(super) async fn lost_targets_are_told(b: Bench) {
    let ended = b.started(Placement::Terminal).await;
    accepted(&b.post("c1", ended.run, MailKind::Resume).await);
    let row = b
        .store
        .command(&b.root(), "c1")
        .await
        .expect("read")
        .expect("present");
    assert_eq!(
        (row.outcome.as_deref(), row.pending),
        (Some("run has ended"), false)
    );
    // A command that reaches nobody by intention has no outcome.
    accepted(
        &b.store
            .post_command(&b.root(), b.command_to("c2", &[]))
            .await
            .expect("post"),
    );
    assert_eq!(
        b.store
            .command(&b.root(), "c2")
            .await
            .expect("read")
            .expect("present")
            .outcome,
        None
    );
}
