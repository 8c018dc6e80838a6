//! Mail.

use super::bench::{Bench, SYSTEM, mail_to};
use crate::{CommitOutcome, MailKind, Placement, PostOutcome, Rest};

pub(super) async fn numbers_are_dense_and_ordered(b: Bench) {
    let session = b.session().await;
    let target = b.started(Placement::Rest { wake_at: None }).await;
    let run = b.held(session).await;
    b.post("c1", target.run, MailKind::Resume).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.mail = vec![
        mail_to(target.run, MailKind::Event),
        mail_to(target.run, MailKind::ChildDone),
    ];
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
    b.post("c2", target.run, MailKind::Cancel).await;
    let mail = b.store.read_mail(&SYSTEM, target, 0).await.expect("mail");
    let read: Vec<_> = mail
        .iter()
        .map(|mail| (mail.n, mail.kind, mail.command_id.as_deref()))
        .collect();
    let expected = [
        (1, MailKind::Resume, Some("c1")),
        (2, MailKind::Event, None),
        (3, MailKind::ChildDone, None),
        (4, MailKind::Cancel, Some("c2")),
    ];
    assert_eq!(read, expected);
    assert_eq!(&*mail[1].body, r#"{"k":"v"}"#);
    assert_eq!(b.mail_numbers(target, 2).await, [3, 4]);
}

pub(super) async fn mail_wakes_a_resting_run(b: Bench) {
    let session = b.session().await;
    let target = b.started(Placement::Rest { wake_at: None }).await;
    let posted = b.post("c1", target.run, MailKind::Resume).await;
    let PostOutcome::Accepted { woken, preempt, .. } = posted else {
        panic!("{posted:?}")
    };
    assert_eq!(woken.iter().map(|woken| woken.key).collect::<Vec<_>>(), [target]);
    assert!(preempt.is_empty());
    let run = b.claimed(session, target).await;
    assert_eq!(run.mail_in, 1);
    let posted = b.post("c2", target.run, MailKind::Resume).await;
    assert!(
        matches!(&posted, PostOutcome::Accepted { woken, .. } if woken.is_empty()),
        "{posted:?}"
    );
    // It rests although mail came meanwhile: it is ready at once.
    let mut commit = b.commit_of(session, &run, Rest::Wait { wake_at: None });
    commit.seen = 1;
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 2 });
    assert!(b.is_ready(target).await);
    let run = b.claimed(session, target).await;
    assert_eq!(b.mail_numbers(target, 0).await, [2]);
    let mut commit = b.commit_of(session, &run, Rest::Wait { wake_at: None });
    commit.seen = 2;
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 2 });
    assert!(!b.is_ready(target).await);
}

pub(super) async fn read_mail_is_removed(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    for id in ["c1", "c2", "c3"] {
        b.post(id, run.key.run, MailKind::Resume).await;
    }
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.seen = 2;
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 3 });
    assert_eq!(b.mail_numbers(run.key, 0).await, [3]);
}

pub(super) async fn tree_mail_to_an_ended_run_is_stale(b: Bench) {
    let session = b.session().await;
    let ended = b.started(Placement::Terminal).await;
    let live = b.started(Placement::Rest { wake_at: None }).await;
    let run = b.held(session).await;
    for kind in [MailKind::Pause, MailKind::Unpause, MailKind::Cancel] {
        let mut commit = b.commit_of(session, &run, Rest::Keep);
        commit.mail = vec![mail_to(live.run, kind), mail_to(ended.run, kind)];
        assert_eq!(b.commit(commit).await, CommitOutcome::Stale { mail_in: 0 });
    }
    let mut absent = b.commit_of(session, &run, Rest::Keep);
    absent.mail = vec![mail_to(b.run_id(), MailKind::Cancel)];
    assert_eq!(b.commit(absent).await, CommitOutcome::Stale { mail_in: 0 });
    assert_eq!(b.mail_numbers(live, 0).await, [0; 0]);
    // Authority is intact, and a child of the same commit is no ended run.
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.children = vec![b.new_run(Placement::Ready)];
    commit.mail = vec![
        mail_to(live.run, MailKind::Cancel),
        mail_to(commit.children[0].head.run_id, MailKind::Pause),
    ];
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
    assert_eq!(b.mail_numbers(live, 0).await, [1]);
}

pub(super) async fn other_mail_to_an_ended_run_is_dropped(b: Bench) {
    let session = b.session().await;
    let ended = b.started(Placement::Terminal).await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.mail = vec![
        mail_to(ended.run, MailKind::Event),
        mail_to(b.run_id(), MailKind::ChildDone),
    ];
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 0 });
    assert_eq!(b.mail_numbers(ended, 0).await, [0; 0]);
}

pub(super) async fn unread_mail_stops_the_end(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    b.post("c1", run.key.run, MailKind::Event).await;
    let end = b.commit_of(session, &run, Rest::Terminal);
    assert_eq!(b.commit(end.clone()).await, CommitOutcome::Stale { mail_in: 1 });
    let row = b
        .store
        .run(&b.root(), run.key.run)
        .await
        .expect("read")
        .expect("present");
    assert_eq!(row.rev, 0, "nothing is written");
    let end = crate::Commit { seen: 1, ..end };
    assert_eq!(b.commit(end).await, CommitOutcome::Committed { mail_in: 1 });
    assert_eq!(b.mail_numbers(run.key, 0).await, [0; 0]);
}

pub(super) async fn mail_to_itself_and_to_another(b: Bench) {
    let session = b.session().await;
    let target = b.started(Placement::Rest { wake_at: None }).await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Wait { wake_at: None });
    commit.mail = vec![
        mail_to(run.key.run, MailKind::Event),
        mail_to(target.run, MailKind::Event),
    ];
    assert_eq!(b.commit(commit).await, CommitOutcome::Committed { mail_in: 1 });
    assert_eq!(
        (b.mail_numbers(run.key, 0).await, b.mail_numbers(target, 0).await),
        (vec![1], vec![1])
    );
    assert!(b.is_ready(run.key).await && b.is_ready(target).await);
}
