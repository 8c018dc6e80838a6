//! Commits.

use ag_types::RunStatus;

use super::bench::{Bench, SECOND, SYSTEM, segment};
use crate::{CommitOutcome, MailKind, OwnerRow, Placement, Rest, Sweep};

const DONE: CommitOutcome = CommitOutcome::Committed { mail_in: 0 };

pub(super) async fn state_and_revision_advance(b: Bench) {
    let session = b.session().await;
    let mut run = b.held(session).await;
    for rev in 0..3 {
        let mut commit = b.commit_of(session, &run, Rest::Keep);
        commit.columns.vars = format!(r#"{{"b":{rev},"a":1.50}}"#).into();
        commit.columns.current_node = format!("node-{rev}");
        commit.segments = vec![segment(i64::from(rev) * 2 + 1, i64::from(rev) * 2 + 2)];
        commit.last_seq = i64::from(rev) * 2 + 2;
        let expected = commit.columns.clone();
        assert_eq!(b.commit(commit).await, DONE);
        run.rev = rev + 1;
        let row = b
            .store
            .run(&b.root(), run.key.run)
            .await
            .expect("read")
            .expect("present");
        assert_eq!(
            (row.rev, row.last_seq, row.columns),
            (rev + 1, i64::from(rev) * 2 + 2, expected)
        );
        run.last_seq = row.last_seq;
    }
    assert!(!b.is_ready(run.key).await, "the holder keeps it");
}

pub(super) async fn rests_and_wakes(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    b.rest(session, &run, Rest::Again).await;
    let run = b.claimed(session, run.key).await;
    assert_eq!(run.rev, 1);
    b.rest(session, &run, Rest::Wait { wake_at: None }).await;
    assert!(b.claim(session, &[run.key]).await.expect("claim").runs.is_empty());
    b.clock.advance(1_000 * SECOND);
    assert_eq!(b.sweep(Sweep::Timers).await, []);
    b.post("c", run.key.run, MailKind::Resume).await;
    let session = b.session().await;
    assert_eq!(b.claimed(session, run.key).await.rev, 2);
}

pub(super) async fn the_fence_holds(b: Bench) {
    let (mine, other) = (b.session().await, b.session().await);
    let run = b.held(mine).await;
    let mut absent = run.clone();
    absent.key.run = b.run_id();
    let mut epoch = run.clone();
    epoch.epoch += 1;
    let mut rev = run.clone();
    rev.rev = 5;
    for (session, forged) in [(other, &run), (mine, &absent), (mine, &epoch), (mine, &rev)] {
        let mut commit = b.commit_of(session, forged, Rest::Terminal);
        commit.segments = vec![segment(1, 1)];
        commit.children = vec![b.new_run(Placement::Ready)];
        let child = commit.children[0].head.run_id;
        assert_eq!(b.commit(commit).await, CommitOutcome::Lost);
        assert!(b.store.run(&b.root(), child).await.expect("read").is_none());
    }
    let row = b
        .store
        .run(&b.root(), run.key.run)
        .await
        .expect("read")
        .expect("present");
    assert_eq!(
        (row.rev, row.last_seq, row.columns.status),
        (0, 0, RunStatus::Running)
    );
    assert_eq!(b.commit(b.commit_of(mine, &run, Rest::Keep)).await, DONE);
}

pub(super) async fn a_repeated_commit_is_recognised(b: Bench) {
    let session = b.session().await;
    for rest in [
        Rest::Keep,
        Rest::Again,
        Rest::Wait { wake_at: None },
        Rest::Terminal,
    ] {
        let run = b.held(session).await;
        let mut commit = b.commit_of(session, &run, rest);
        commit.segments = vec![segment(1, 2)];
        commit.last_seq = 2;
        for _ in 0..2 {
            assert_eq!(b.commit(commit.clone()).await, DONE, "{rest:?}");
        }
        let page = b
            .store
            .ledger(&b.root(), run.key.run, 0, 100)
            .await
            .expect("read")
            .expect("present");
        assert_eq!(page.records().count(), 2);
    }
}

pub(super) async fn a_terminal_run_has_no_head(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    b.rest(session, &run, Rest::Terminal).await;
    assert!(!b.is_ready(run.key).await);
    assert!(b.claim(session, &[run.key]).await.expect("claim").runs.is_empty());
    let mut next = run.clone();
    next.rev = 1;
    assert_eq!(
        b.commit(b.commit_of(session, &next, Rest::Keep)).await,
        CommitOutcome::Lost
    );
    assert!(
        b.store
            .close_session(&SYSTEM, session, false)
            .await
            .expect("close")
            .is_empty()
    );
}

pub(super) async fn children_enter_with_the_commit(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    for placement in [
        Placement::Ready,
        Placement::Held { session, epoch: 1 },
        Placement::Rest {
            wake_at: Some(b.now()),
        },
        Placement::Terminal,
    ] {
        let mut child = b.new_run(placement);
        child.head.parent_run_id = Some(run.key.run);
        child.segments = vec![segment(1, 1)];
        child.last_seq = 1;
        commit.children.push(child);
    }
    let ids: Vec<_> = commit.children.iter().map(|child| child.head.run_id).collect();
    assert_eq!(b.commit(commit).await, DONE);
    let children = b.store.children(&b.root(), run.key.run).await.expect("read");
    assert_eq!(
        children.iter().map(|child| child.head.run_id).collect::<Vec<_>>(),
        ids
    );
    assert_eq!(
        b.candidates(9)
            .await
            .iter()
            .map(|key| key.run)
            .collect::<Vec<_>>(),
        [ids[0]]
    );
    let mut held = run.clone();
    held.key.run = ids[1];
    held.epoch = 1;
    assert_eq!(b.commit(b.commit_of(session, &held, Rest::Keep)).await, DONE);
    assert_eq!(
        b.sweep(Sweep::Timers)
            .await
            .iter()
            .map(|key| key.run)
            .collect::<Vec<_>>(),
        [ids[2]]
    );
    assert_eq!(
        b.store.live_below(&b.root(), run.key.run).await.expect("read"),
        ids[..3]
    );
}

pub(super) async fn a_pool_change_moves_the_run(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let mut commit = b.commit_of(session, &run, Rest::Again);
    commit.pool = Some("gpu".into());
    assert_eq!(b.commit(commit).await, DONE);
    assert!(!b.is_ready(run.key).await);
    let again = b.claimed(session, run.key).await;
    assert_eq!(&*again.pool, "gpu");
}

pub(super) async fn crashes_are_cleared_by_progress(b: Bench) {
    let next = b.session().await;
    for (progress, rest, crashes) in [
        (false, Rest::Keep, 1),
        (true, Rest::Keep, 0),
        (false, Rest::Again, 0),
        (false, Rest::Wait { wake_at: None }, 0),
    ] {
        let doomed = b.session().await;
        let run = b.held(doomed).await;
        b.store
            .close_session(&SYSTEM, doomed, false)
            .await
            .expect("close");
        let run = b.claimed(next, run.key).await;
        assert_eq!(run.crashes, 1);
        let mut commit = b.commit_of(next, &run, rest);
        commit.progress = progress;
        assert_eq!(b.commit(commit).await, DONE);
        if rest == Rest::Keep {
            assert!(
                b.store
                    .release(&SYSTEM, next, run.key, run.epoch)
                    .await
                    .expect("release")
            );
        }
        b.post(&format!("{progress}{rest:?}"), run.key.run, MailKind::Resume)
            .await;
        assert_eq!(
            b.claimed(next, run.key).await.crashes,
            crashes,
            "{progress} {rest:?}"
        );
    }
}

pub(super) async fn rows_beside_the_commit(b: Bench) {
    let session = b.session().await;
    let run = b.held(session).await;
    let owner = OwnerRow {
        owner_id: "global_memory".to_owned(),
        session_id: None,
        created_at: b.now(),
        updated_at: b.now(),
    };
    let mut commit = b.commit_of(session, &run, Rest::Keep);
    commit.owners = vec![owner.clone()];
    commit.artifacts = vec![super::artifacts::artifact(&b, "a1", Some("r"), "blob")];
    let artifact = commit.artifacts[0].clone();
    assert_eq!(b.commit(commit).await, DONE);
    assert_eq!(
        b.store.owner(&b.root(), "global_memory").await.expect("read"),
        Some(owner)
    );
    assert_eq!(
        b.store.artifact(&b.root(), "a1").await.expect("read"),
        Some(artifact)
    );
}
